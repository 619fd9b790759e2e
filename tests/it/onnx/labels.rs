//! The graph from photo to mask against the stages of `irn-infer` it is made of.

use irn::data::normalise::Normalisation;
use irn::data::resize::rescale;
use irn::label::semantic::{label_of, scores};
use irn::label::{merge, random_walk, random_walk::Walk};
use irn::runtime::{CamModel, IrnModel, Padding, cam_pair, irn_pair};
use irn_export::labels::{LabelSettings, Part, export_labels};
use irn_export::network::Network;
use irn_export::{LabelModel, ModelInfo, NetworkKind, SessionOptions};
use irn_models::resnet::BACKBONES;
use ndarray::{Array2, Array3};

use super::random;

/// Both networks as files and as one graph.
struct Models {
    cam: CamModel,
    irn: IrnModel,
    labels: LabelModel,
    settings: LabelSettings,
    info: ModelInfo,
}

fn models(settings: LabelSettings) -> Models {
    let (cam, cam_info) = random(NetworkKind::Cam, BACKBONES[0], 1).unwrap();
    let (irn, irn_info) = random(NetworkKind::Irn, BACKBONES[0], 2).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, network: &Network, info: &ModelInfo| {
        let path = dir.path().join(name);
        fs_err::write(&path, network.export(info).unwrap()).unwrap();
        path
    };
    let (cam_path, irn_path) =
        (file("cam.onnx", &cam, &cam_info), file("irn.onnx", &irn, &irn_info));
    let (Network::Cam(cam_net), Network::Irn(irn_net)) = (&cam, &irn) else { panic!("two kinds") };
    let parts = (Part { net: cam_net, info: &cam_info }, Part { net: irn_net, info: &irn_info });
    let bytes = export_labels(&parts.0, &parts.1, &settings).unwrap();
    assert_eq!(bytes, export_labels(&parts.0, &parts.1, &settings).unwrap(), "equal bytes");
    Models {
        cam: CamModel::open(&cam_path, 1, None).unwrap(),
        irn: IrnModel::open(&irn_path, 1).unwrap(),
        labels: LabelModel::from_bytes(bytes.into(), &SessionOptions::default()).unwrap(),
        settings,
        info: cam_info,
    }
}

impl Models {
    /// What `irn-infer` computes.
    fn expected(&mut self, photo: &Array3<u8>, keys: &[usize]) -> (Array3<f32>, Array2<u8>) {
        let normal = Normalisation { mean: self.info.mean, std: self.info.std };
        let size = (photo.dim().0, photo.dim().1);
        let maps: Vec<_> = self
            .settings
            .scales
            .iter()
            .map(|&scale| {
                let image = normal.normalise(rescale(photo.view(), scale).view());
                cam_pair(&mut self.cam, image.view()).unwrap()
            })
            .collect();
        let cam = merge(&maps, size, keys).unwrap().cam;
        let padding = Padding { crop: self.settings.pad, compat: false };
        let image = normal.normalise(photo.view());
        let edge = irn_pair(&mut self.irn, image.view(), padding).unwrap().edge;
        let LabelSettings { radius, beta, exp_times, background, .. } = self.settings;
        let walked = random_walk(cam.view(), edge.view(), &Walk { radius, beta, exp_times });
        let scores = scores(walked.view(), size);
        let label = label_of(scores.view(), keys, background);
        (scores, label)
    }
}

/// A smooth picture with noise, of any size.
fn photo(height: usize, width: usize) -> Array3<u8> {
    Array3::from_shape_fn((height, width, 3), |(y, x, c)| {
        let wave = ((y as f32 / 9.).sin() + (x as f32 / 13. + c as f32).cos()) * 50.;
        (128. + wave + ((y * 31 + x * 17 + c * 7) % 23) as f32) as u8
    })
}

#[test]
fn one_graph_gives_the_labels_of_the_stages() {
    let settings = LabelSettings { pad: 64, ..LabelSettings::default() };
    let mut models = models(settings);
    for (height, width, keys) in [(61, 90, vec![0, 2]), (80, 47, vec![1]), (33, 33, vec![0, 1, 2])]
    {
        let photo = photo(height, width);
        let (scores, label) = models.expected(&photo, &keys);
        let classes: Vec<f32> =
            (0..3).map(|key| f32::from(u8::from(keys.contains(&key)))).collect();
        let (found, labels) = models.labels.run(photo.view(), &classes).unwrap();
        assert_eq!(found.dim(), scores.dim());
        let apart = (&found - &scores).mapv(f32::abs).fold(0f32, |a, &b| a.max(b));
        let equal = labels.iter().zip(&label).filter(|(a, b)| a == b).count();
        println!("{height}x{width}: scores {apart:.1e}, labels {equal} of {}", label.len());
        assert!(apart < 0.002, "{height}x{width}: scores differ by {apart}");
        assert!(equal * 1000 >= label.len() * 999, "{height}x{width}: {equal} labels equal");
    }
}

#[test]
fn without_resizing_the_scores_agree_closely() {
    let settings =
        LabelSettings { pad: 32, scales: vec![1.0], radius: 4, exp_times: 5, ..Default::default() };
    let mut models = models(settings);
    let photo = photo(50, 75);
    let (scores, _) = models.expected(&photo, &[0, 1]);
    let (found, _) = models.labels.run(photo.view(), &[1., 1., 0.]).unwrap();
    let apart = (&found - &scores).mapv(f32::abs).fold(0f32, |a, &b| a.max(b));
    assert!(apart < 1e-4, "scores differ by {apart}");
}

#[test]
fn no_class_is_all_background() {
    let mut models = models(LabelSettings { pad: 32, scales: vec![1.0], ..Default::default() });
    let (scores, label) = models.labels.run(photo(20, 30).view(), &[0.; 3]).unwrap();
    assert_eq!((scores.dim(), label), ((0, 20, 30), Array2::zeros((20, 30))));
    assert!(models.labels.run(photo(20, 30).view(), &[0.; 2]).is_err());
}
