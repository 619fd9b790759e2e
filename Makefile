# make demo    everything once, from nothing to a page of pictures
# make test    all tests
# make bench   times of all stages beside the PyTorch peer's, where there is one; STAGE=name for one
# make web     the page of export/web (needs Node.js and npm); irn-export web adds the models
# make web-test  tests of that page, in headless Chromium where there is one
# make runtimes  the exported graphs in other runtimes (docs/runtimes.md); needs npm, Chromium, g++, make demo
# make cuda    the programs with CUDA, on any machine; needs no GPU and no CUDA installation
# make cuda-test  tests of the GPU's part: on the GPU, or on a fake one without
# make bench-cuda  training and inference on a GPU beside the PyTorch peer's on the same card
# make check   what CI runs besides: format, lints, documentation

export PATH := $(CURDIR)/.deps/cmake/cmake/data/bin:$(PATH)

.PHONY: demo test bench web web-test runtimes cuda cuda-test bench-cuda check build deps golden clean

deps:
	@sh scripts/deps.sh

build: deps
	cargo build --release --workspace

demo: build
	target/release/irn-train demo-data --out demo/data --config configs/demo.yaml
	target/release/irn-train run --config configs/demo.yaml
	@echo
	@echo "report page:    $(CURDIR)/demo/out/report.html"
	@echo "instance masks: $(CURDIR)/demo/out/ins_seg, $(CURDIR)/demo/out/coco.json"
	@echo "semantic masks: $(CURDIR)/demo/out/sem_seg"

test: deps
	@sh scripts/deps.sh python
	IRN_PYTHON=python3 PYTHONPATH=$(CURDIR)/.deps/python cargo test --release --workspace

golden: deps
	cargo test --release --test it golden

bench: deps
	cargo bench --workspace --bench bench -- $(STAGE:%=--stage %)

web:
	cd export/web && npm ci && npm run build

web-test:
	@sh scripts/web-test.sh

runtimes: build
	@sh scripts/runtimes.sh

cuda:
	@sh scripts/cuda/build.sh

cuda-test:
	@sh scripts/cuda/build.sh test

bench-cuda:
	@sh scripts/cuda/build.sh bench $(STAGE:%=--stage %)

check: deps
	cargo fmt --all --check
	cargo clippy --release --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --release --workspace --no-deps --document-private-items

clean:
	rm -rf target demo .deps
