// cuBLAS, cuBLASLt, cuRAND and NVRTC as far as Candle needs them to make a device; what would compute is
// not supported. One file for all four: nobody looks for one's functions in another.
#include <cstddef>

#define API extern "C" __attribute__((visibility("default"))) int

namespace {

constexpr int SUCCESS = 0, CUBLAS_NOT_SUPPORTED = 15, CURAND_INTERNAL_ERROR = 999;
constexpr int NVRTC_NOT_SUPPORTED = 11;  // NVRTC_ERROR_INTERNAL_ERROR

int create(void** handle) {
    *handle = new char;
    return SUCCESS;
}

int destroy(void* handle) {
    delete static_cast<char*>(handle);
    return SUCCESS;
}

}  // namespace

API cublasCreate_v2(void** handle) { return create(handle); }
API cublasDestroy_v2(void* handle) { return destroy(handle); }
API cublasSetStream_v2(void*, void*) { return SUCCESS; }
API cublasSetMathMode(void*, int) { return SUCCESS; }
API cublasSetWorkspace_v2(void*, void*, size_t) { return SUCCESS; }
API cublasSetPointerMode_v2(void*, int) { return SUCCESS; }
API cublasGetPointerMode_v2(void*, int* mode) { return *mode = 0, SUCCESS; }
API cublasSgemm_v2() { return CUBLAS_NOT_SUPPORTED; }
API cublasGemmEx() { return CUBLAS_NOT_SUPPORTED; }
API cublasSgemmStridedBatched() { return CUBLAS_NOT_SUPPORTED; }
API cublasGemmStridedBatchedEx() { return CUBLAS_NOT_SUPPORTED; }
extern "C" __attribute__((visibility("default"))) const char* cublasGetStatusString(int) {
    return "the fake cuBLAS computes nothing";
}

API cublasLtCreate(void** handle) { return create(handle); }
API cublasLtDestroy(void* handle) { return destroy(handle); }
API cublasLtMatmul() { return CUBLAS_NOT_SUPPORTED; }

API curandCreateGenerator(void** generator, int) { return create(generator); }
API curandDestroyGenerator(void* generator) { return destroy(generator); }
API curandSetStream(void*, void*) { return SUCCESS; }
API curandSetPseudoRandomGeneratorSeed(void*, unsigned long long) { return SUCCESS; }
API curandSetGeneratorOffset(void*, unsigned long long) { return SUCCESS; }
API curandGenerateUniform() { return CURAND_INTERNAL_ERROR; }
API curandGenerateNormal() { return CURAND_INTERNAL_ERROR; }

API nvrtcVersion(int* major, int* minor) { return *major = 13, *minor = 0, SUCCESS; }
API nvrtcCreateProgram() { return NVRTC_NOT_SUPPORTED; }
API nvrtcCompileProgram() { return NVRTC_NOT_SUPPORTED; }
extern "C" __attribute__((visibility("default"))) const char* nvrtcGetErrorString(int) {
    return "the fake NVRTC compiles nothing";
}
