// A fake libcudnn.so.9: convolutions of f32 and bf16 in memory of the host. Signatures and numbers are
// those of cuDNN's headers, with plain types for its handles and enumerations.
#include "convolution.h"

#include <cstdint>
#include <cstring>

#define API extern "C" __attribute__((visibility("default"))) int

namespace {

enum Status {
    SUCCESS = 0,
    BAD_PARAM = 2000,
    BAD_SIZE = 2006,
    SHAPE_MISMATCH = 2008,
    NOT_SUPPORTED = 3000
};

// cudnnConvolution*AlgoPerf_t, the same for the three products.
struct Performance {
    int algorithm, status;
    float time;
    size_t memory;
    int deterministic, math, reserved[3];
};

// Of every product, algorithm 1 is the one that repeats bit for bit, and needs a workspace.
constexpr int ALGORITHMS = 2, CHOICES[ALGORITHMS] = {1, 0};

size_t workspace_bytes(const Convolution* by, int algorithm) {
    return algorithm == 1 ? 4096 + 512 * by->groups : 0;
}

int list(const Convolution* by, int requested, int* returned, Performance* results) {
    *returned = requested < ALGORITHMS ? requested : ALGORITHMS;
    for (int k = 0; k < *returned; k++) {
        int algorithm = CHOICES[k];
        results[k] = {algorithm, SUCCESS, 1.0f + k, workspace_bytes(by, algorithm), algorithm, 0, {}};
    }
    return requested > 0 ? SUCCESS : BAD_PARAM;
}

// What a product needs before it may run; its workspace is used up.
int check(const Convolution* by, const Tensor* x, const Filter* w, const Tensor* y, int algorithm,
          void* workspace, size_t bytes) {
    if (!by->fits(*x, *w, *y)) return SHAPE_MISMATCH;
    if (algorithm != 0 && algorithm != 1) return NOT_SUPPORTED;
    size_t needed = workspace_bytes(by, algorithm);
    if (bytes < needed || (needed > 0 && !workspace)) return BAD_SIZE;
    memset(workspace, 0xff, needed);
    return SUCCESS;
}

int size_of_workspace(const Convolution* by, const Tensor* x, const Filter* w, const Tensor* y,
                      int algorithm, size_t* bytes) {
    *bytes = workspace_bytes(by, algorithm);
    if (!by->fits(*x, *w, *y)) return SHAPE_MISMATCH;
    return algorithm == 0 || algorithm == 1 ? SUCCESS : NOT_SUPPORTED;
}

Scale scale(const void* alpha, const void* beta) {
    return {*static_cast<const float*>(alpha), *static_cast<const float*>(beta)};
}

bool known(int type) { return type == F32 || type == BF16; }

}  // namespace

extern "C" {
#define TEXT __attribute__((visibility("default"))) const char*
TEXT cudnnGetErrorString(int status) {
    switch (status) {
        case SUCCESS: return "CUDNN_STATUS_SUCCESS";
        case BAD_SIZE: return "CUDNN_STATUS_BAD_PARAM_SIZE_INSUFFICIENT";
        case SHAPE_MISMATCH: return "CUDNN_STATUS_BAD_PARAM_SHAPE_MISMATCH";
        case NOT_SUPPORTED: return "CUDNN_STATUS_NOT_SUPPORTED";
        default: return "CUDNN_STATUS_BAD_PARAM";
    }
}
__attribute__((visibility("default"))) void cudnnGetLastErrorString(char* text, size_t bytes) {
    if (bytes > 0) *text = 0;
}
__attribute__((visibility("default"))) size_t cudnnGetVersion() { return 92800; }
__attribute__((visibility("default"))) size_t cudnnGetCudartVersion() { return 13000; }
}

API cudnnAdvVersionCheck() { return SUCCESS; }
API cudnnCnnVersionCheck() { return SUCCESS; }
API cudnnOpsVersionCheck() { return SUCCESS; }

API cudnnCreate(void** handle) { return *handle = new char, SUCCESS; }
API cudnnDestroy(void* handle) { return delete static_cast<char*>(handle), SUCCESS; }
API cudnnSetStream(void*, void*) { return SUCCESS; }

API cudnnCreateTensorDescriptor(Tensor** tensor) { return *tensor = new Tensor, SUCCESS; }
API cudnnDestroyTensorDescriptor(Tensor* tensor) { return delete tensor, SUCCESS; }
API cudnnSetTensorNdDescriptor(Tensor* tensor, int type, int rank, const int* size, const int* stride) {
    if (rank != 4 || !known(type)) return NOT_SUPPORTED;
    tensor->type = type;
    memcpy(tensor->size, size, sizeof tensor->size);
    memcpy(tensor->stride, stride, sizeof tensor->stride);
    return SUCCESS;
}
API cudnnSetTensor4dDescriptor(Tensor* tensor, int format, int type, int n, int c, int h, int w) {
    if (format > 1 || !known(type)) return NOT_SUPPORTED;
    const int size[] = {n, c, h, w};
    tensor->set(type, size, format == 1);
    return SUCCESS;
}
API cudnnSetTensorNdDescriptorEx(Tensor* tensor, int format, int type, int rank, const int* size) {
    if (rank != 4) return NOT_SUPPORTED;
    return cudnnSetTensor4dDescriptor(tensor, format, type, size[0], size[1], size[2], size[3]);
}
API cudnnSetTensor4dDescriptorEx(Tensor* tensor, int type, int n, int c, int h, int w, int n_stride,
                                 int c_stride, int h_stride, int w_stride) {
    const int size[] = {n, c, h, w}, stride[] = {n_stride, c_stride, h_stride, w_stride};
    return cudnnSetTensorNdDescriptor(tensor, type, 4, size, stride);
}

API cudnnCreateFilterDescriptor(Filter** filter) { return *filter = new Filter, SUCCESS; }
API cudnnDestroyFilterDescriptor(Filter* filter) { return delete filter, SUCCESS; }
API cudnnSetFilter4dDescriptor(Filter* filter, int type, int format, int k, int c, int h, int w) {
    filter->format = format;
    return cudnnSetTensor4dDescriptor(&filter->values, format, type, k, c, h, w);
}
API cudnnSetFilterNdDescriptor(Filter* filter, int type, int format, int rank, const int* size) {
    if (rank != 4) return NOT_SUPPORTED;
    return cudnnSetFilter4dDescriptor(filter, type, format, size[0], size[1], size[2], size[3]);
}

API cudnnCreateConvolutionDescriptor(Convolution** by) { return *by = new Convolution, SUCCESS; }
API cudnnDestroyConvolutionDescriptor(Convolution* by) { return delete by, SUCCESS; }
API cudnnSetConvolutionNdDescriptor(Convolution* by, int rank, const int* padding, const int* step,
                                    const int* dilation, int mode, int compute) {
    // Sums are in f32, whatever the values.
    if (rank != 2 || compute != F32) return NOT_SUPPORTED;
    for (int axis = 0; axis < 2; axis++) {
        by->padding[axis] = padding[axis];
        by->step[axis] = step[axis];
        by->dilation[axis] = dilation[axis];
        if (padding[axis] < 0 || step[axis] < 1 || dilation[axis] < 1) return BAD_PARAM;
    }
    by->flipped = mode == 0;
    return SUCCESS;
}
API cudnnSetConvolution2dDescriptor(Convolution* by, int pad_h, int pad_w, int step_h, int step_w,
                                    int dilation_h, int dilation_w, int mode, int compute) {
    const int padding[] = {pad_h, pad_w}, step[] = {step_h, step_w},
              dilation[] = {dilation_h, dilation_w};
    return cudnnSetConvolutionNdDescriptor(by, 2, padding, step, dilation, mode, compute);
}
API cudnnSetConvolutionGroupCount(Convolution* by, int groups) {
    by->groups = groups;
    return groups > 0 ? SUCCESS : BAD_PARAM;
}
API cudnnSetConvolutionMathType(Convolution*, int) { return SUCCESS; }
API cudnnSetConvolutionReorderType(Convolution*, int) { return SUCCESS; }

API cudnnGetConvolutionForwardAlgorithmMaxCount(void*, int* count) {
    return *count = ALGORITHMS, SUCCESS;
}
API cudnnGetConvolutionBackwardDataAlgorithmMaxCount(void*, int* count) {
    return *count = ALGORITHMS, SUCCESS;
}
API cudnnGetConvolutionBackwardFilterAlgorithmMaxCount(void*, int* count) {
    return *count = ALGORITHMS, SUCCESS;
}

API cudnnGetConvolutionForwardAlgorithm_v7(void*, const Tensor* x, const Filter* w,
                                           const Convolution* by, const Tensor* y, int requested,
                                           int* returned, Performance* results) {
    return by->fits(*x, *w, *y) ? list(by, requested, returned, results) : SHAPE_MISMATCH;
}
API cudnnGetConvolutionBackwardDataAlgorithm_v7(void*, const Filter* w, const Tensor* dy,
                                                const Convolution* by, const Tensor* dx, int requested,
                                                int* returned, Performance* results) {
    return by->fits(*dx, *w, *dy) ? list(by, requested, returned, results) : SHAPE_MISMATCH;
}
API cudnnGetConvolutionBackwardFilterAlgorithm_v7(void*, const Tensor* x, const Tensor* dy,
                                                  const Convolution* by, const Filter* dw, int requested,
                                                  int* returned, Performance* results) {
    return by->fits(*x, *dw, *dy) ? list(by, requested, returned, results) : SHAPE_MISMATCH;
}

API cudnnFindConvolutionForwardAlgorithmEx(void*, const Tensor* x, const void*, const Filter* w,
                                           const void*, const Convolution* by, const Tensor* y, void*,
                                           int requested, int* returned, Performance* results, void*,
                                           size_t) {
    return by->fits(*x, *w, *y) ? list(by, requested, returned, results) : SHAPE_MISMATCH;
}
API cudnnFindConvolutionBackwardDataAlgorithmEx(void*, const Filter* w, const void*, const Tensor* dy,
                                                const void*, const Convolution* by, const Tensor* dx,
                                                void*, int requested, int* returned,
                                                Performance* results, void*, size_t) {
    return by->fits(*dx, *w, *dy) ? list(by, requested, returned, results) : SHAPE_MISMATCH;
}
API cudnnFindConvolutionBackwardFilterAlgorithmEx(void*, const Tensor* x, const void*, const Tensor* dy,
                                                  const void*, const Convolution* by, const Filter* dw,
                                                  void*, int requested, int* returned,
                                                  Performance* results, void*, size_t) {
    return by->fits(*x, *dw, *dy) ? list(by, requested, returned, results) : SHAPE_MISMATCH;
}

API cudnnGetConvolutionForwardWorkspaceSize(void*, const Tensor* x, const Filter* w,
                                            const Convolution* by, const Tensor* y, int algorithm,
                                            size_t* bytes) {
    return size_of_workspace(by, x, w, y, algorithm, bytes);
}
API cudnnGetConvolutionBackwardDataWorkspaceSize(void*, const Filter* w, const Tensor* dy,
                                                 const Convolution* by, const Tensor* dx, int algorithm,
                                                 size_t* bytes) {
    return size_of_workspace(by, dx, w, dy, algorithm, bytes);
}
API cudnnGetConvolutionBackwardFilterWorkspaceSize(void*, const Tensor* x, const Tensor* dy,
                                                   const Convolution* by, const Filter* dw,
                                                   int algorithm, size_t* bytes) {
    return size_of_workspace(by, x, dw, dy, algorithm, bytes);
}

API cudnnConvolutionForward(void*, const void* alpha, const Tensor* x, const void* x_data,
                            const Filter* w, const void* w_data, const Convolution* by, int algorithm,
                            void* workspace, size_t bytes, const void* beta, const Tensor* y,
                            void* y_data) {
    int status = check(by, x, w, y, algorithm, workspace, bytes);
    if (status == SUCCESS) forward(*by, *x, x_data, *w, w_data, *y, y_data, scale(alpha, beta));
    return status;
}
API cudnnConvolutionBackwardData(void*, const void* alpha, const Filter* w, const void* w_data,
                                 const Tensor* dy, const void* dy_data, const Convolution* by,
                                 int algorithm, void* workspace, size_t bytes, const void* beta,
                                 const Tensor* dx, void* dx_data) {
    int status = check(by, dx, w, dy, algorithm, workspace, bytes);
    if (status == SUCCESS)
        backward_data(*by, *w, w_data, *dy, dy_data, *dx, dx_data, scale(alpha, beta));
    return status;
}
API cudnnConvolutionBackwardFilter(void*, const void* alpha, const Tensor* x, const void* x_data,
                                   const Tensor* dy, const void* dy_data, const Convolution* by,
                                   int algorithm, void* workspace, size_t bytes, const void* beta,
                                   const Filter* dw, void* dw_data) {
    int status = check(by, x, dw, dy, algorithm, workspace, bytes);
    if (status == SUCCESS)
        backward_filter(*by, *x, x_data, *dy, dy_data, *dw, dw_data, scale(alpha, beta));
    return status;
}
