// What leitmotif-train asks of CUDA beyond tch's bindings: a fused operator, and CUDA graphs.
//
// A library of its own, opened at run time after libtorch's CUDA library, whose symbols it uses. Every function returns
// null, or an error's text that is valid until the thread's next call; nothing is thrown across this wall.

#include <dlfcn.h>

#include <algorithm>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include <ATen/cuda/CUDAGraph.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <c10/cuda/CUDAFunctions.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>
#include <cuda.h>
#include <cuda_runtime_api.h>
#include <torch/csrc/autograd/custom_function.h>

#include "arguments.h"
#include "guarded.h"

#define EXPORT extern "C" __attribute__((visibility("default")))

namespace {

// Generated from arguments.h and kernels.cu.
const char* const SOURCE =
#include "kernels.inc"
    ;

// The most threads of a block; small blocks fill a multiprocessor's registers best.
constexpr int THREADS = 128;
constexpr int FINISH_THREADS = 512;

// NVRTC and the driver. Neither is linked: the first is needed on the first use alone, the second lies where NVIDIA's
// driver is.
struct Driver {
    int (*create)(void**, const char*, const char*, int, const char* const*, const char* const*);
    int (*compile)(void*, int, const char* const*);
    int (*log_size)(void*, size_t*);
    int (*log)(void*, char*);
    int (*cubin_size)(void*, size_t*);
    int (*cubin)(void*, char*);
    int (*destroy)(void**);
    decltype(&cuModuleLoadData) load;
    decltype(&cuModuleGetFunction) function;
    decltype(&cuOccupancyMaxActiveBlocksPerMultiprocessor) occupancy;
    decltype(&cuLaunchKernel) launch;
    decltype(&cuCtxGetCurrent) context;
    decltype(&cuGetErrorString) error;
};

void* opened(const std::vector<std::string>& names, int flags) {
    std::string reasons;
    for (const auto& name : names) {
        if (void* library = dlopen(name.c_str(), flags)) return library;
        reasons += std::string("; ") + dlerror();
    }
    TORCH_CHECK(false, "cannot open ", names.back(), reasons);
}

template <typename Function>
void find(void* library, const char* name, Function& function) {
    function = reinterpret_cast<Function>(dlsym(library, name));
    TORCH_CHECK(function, "no function ", name, " in its library");
}

// A library of CUDA's wheels lies beside the CUDA runtime that libtorch loaded, or where the system looks.
std::vector<std::string> beside_runtime(const std::string& name) {
    Dl_info runtime{};
    std::vector<std::string> names;
    if (dladdr(reinterpret_cast<void*>(&cudaGetDeviceCount), &runtime) && runtime.dli_fname) {
        const std::string file = runtime.dli_fname;
        if (const auto slash = file.rfind('/'); slash != std::string::npos) names.push_back(file.substr(0, slash + 1) + name);
    }
    names.push_back(name);
    return names;
}

const Driver& driver() {
    static const Driver found = [] {
        Driver d{};
        // NVRTC looks for this one by its bare name, which finds it once it is open.
        for (const auto& name : beside_runtime("libnvrtc-builtins.so.13.0")) {
            if (dlopen(name.c_str(), RTLD_NOW | RTLD_GLOBAL)) break;
        }
        void* nvrtc = opened(beside_runtime("libnvrtc.so.13"), RTLD_NOW | RTLD_LOCAL);
        find(nvrtc, "nvrtcCreateProgram", d.create);
        find(nvrtc, "nvrtcCompileProgram", d.compile);
        find(nvrtc, "nvrtcGetProgramLogSize", d.log_size);
        find(nvrtc, "nvrtcGetProgramLog", d.log);
        find(nvrtc, "nvrtcGetCUBINSize", d.cubin_size);
        find(nvrtc, "nvrtcGetCUBIN", d.cubin);
        find(nvrtc, "nvrtcDestroyProgram", d.destroy);
        void* cuda = opened({"libcuda.so.1"}, RTLD_NOW | RTLD_LOCAL);
        find(cuda, "cuModuleLoadData", d.load);
        find(cuda, "cuModuleGetFunction", d.function);
        find(cuda, "cuOccupancyMaxActiveBlocksPerMultiprocessor", d.occupancy);
        find(cuda, "cuLaunchKernel", d.launch);
        find(cuda, "cuCtxGetCurrent", d.context);
        find(cuda, "cuGetErrorString", d.error);
        return d;
    }();
    return found;
}

void check(CUresult result, const char* doing) {
    if (result == CUDA_SUCCESS) return;
    const char* text = nullptr;
    driver().error(result, &text);
    TORCH_CHECK(false, "CUDA: ", doing, ": ", text ? text : "unknown error");
}

void check(cudaError_t result, const char* doing) {
    TORCH_CHECK(result == cudaSuccess, "CUDA: ", doing, ": ", cudaGetErrorString(result));
}

// What the kernels are compiled for.
struct Shape {
    int device;
    int channels;
    int pool;
    bool bf16;

    // Values of one load, of at most 16 bytes.
    int vector() const {
        int values = bf16 ? 8 : 4;
        while (channels % values) values /= 2;
        return values;
    }
    int tile() const { return ::tile(channels, vector(), THREADS); }
    int lanes() const { return ::lanes(channels, vector(), THREADS); }
    auto key() const { return std::make_tuple(device, channels, pool, bf16); }
};

std::string cubin(const Shape& shape, const cudaDeviceProp& properties) {
    const Driver& d = driver();
    void* program = nullptr;
    TORCH_CHECK(d.create(&program, SOURCE, "kernels.cu", 0, nullptr, nullptr) == 0, "NVRTC refuses the kernels");
    const std::vector<std::string> options = {
        "--gpu-architecture=sm_" + std::to_string(properties.major) + std::to_string(properties.minor),
        "--std=c++17",
        "-default-device",
        "-DCHANNELS=" + std::to_string(shape.channels),
        "-DPOOL=" + std::to_string(shape.pool),
        "-DBF16=" + std::to_string(shape.bf16 ? 1 : 0),
        "-DVECTOR=" + std::to_string(shape.vector()),
        "-DTHREADS=" + std::to_string(THREADS),
        "-DFINISH_THREADS=" + std::to_string(FINISH_THREADS),
    };
    std::vector<const char*> pointers;
    for (const auto& option : options) pointers.push_back(option.c_str());
    const int result = d.compile(program, static_cast<int>(pointers.size()), pointers.data());
    size_t size = 0;
    std::string text;
    if (result != 0) {
        if (d.log_size(program, &size) == 0) {
            text.resize(size);
            d.log(program, text.data());
        }
        d.destroy(&program);
        TORCH_CHECK(false, "NVRTC cannot compile the kernels for ", options[0], ": ", text.c_str());
    }
    const bool got = d.cubin_size(program, &size) == 0 && (text.resize(size), d.cubin(program, text.data()) == 0);
    d.destroy(&program);
    TORCH_CHECK(got, "NVRTC gives no program");
    return text;
}

struct Kernel {
    CUfunction function;
    // Of a streaming kernel, as many as fill the GPU once.
    unsigned most_blocks;
};

struct Kernels {
    Kernel moments, finish_moments, outputs, sums, finish_sums, gradients;
};

// Compiles at the first use of a shape, which must not be during a capture; kept until the process ends.
const Kernels& kernels(const Shape& shape) {
    static std::mutex mutex;
    static std::map<decltype(shape.key()), std::unique_ptr<Kernels>> known;
    const std::lock_guard lock(mutex);
    auto& entry = known[shape.key()];
    if (entry) return *entry;
    cudaDeviceProp properties{};
    check(cudaGetDeviceProperties(&properties, shape.device), "the GPU's properties");
    const std::string code = cubin(shape, properties);
    CUmodule module = nullptr;
    check(driver().load(&module, code.data()), "loading the kernels");
    const auto named = [&](const char* name) {
        Kernel kernel{};
        check(driver().function(&kernel.function, module, name), name);
        int resident = 0;
        check(driver().occupancy(&resident, kernel.function, THREADS, 0), name);
        kernel.most_blocks = static_cast<unsigned>(std::max(resident, 1) * properties.multiProcessorCount);
        return kernel;
    };
    entry = std::make_unique<Kernels>(Kernels{
        named("moments"), named("finish_moments"), named("outputs"), named("sums"), named("finish_sums"), named("gradients")});
    return *entry;
}

unsigned divided_up(unsigned value, unsigned by) { return (value + by - 1) / by; }

void run(const Kernel& kernel, unsigned x, unsigned y, int threads, Arguments& arguments) {
    void* parameters[] = {&arguments};
    const CUstream stream = c10::cuda::getCurrentCUDAStream().stream();
    check(driver().launch(kernel.function, x, y, 1, static_cast<unsigned>(threads), 1, 1, 0, stream, parameters, nullptr),
          "launching a kernel");
}

// The blocks of a streaming kernel whose threads take `depth` of that many rows at once.
unsigned blocks(const Kernel& kernel, const Shape& shape, unsigned rows, int depth) {
    const unsigned tiles = divided_up(shape.channels / shape.vector(), shape.tile());
    const unsigned most = std::max(kernel.most_blocks / tiles, 1u);
    return std::min(most, divided_up(rows, static_cast<unsigned>(shape.lanes() * depth)));
}

void stream_rows(const Kernel& kernel, const Shape& shape, unsigned count, Arguments& arguments) {
    const unsigned tiles = divided_up(shape.channels / shape.vector(), shape.tile());
    run(kernel, count, tiles, shape.tile() * shape.lanes(), arguments);
}

void finish(const Kernel& kernel, const Shape& shape, Arguments& arguments) {
    run(kernel, divided_up(shape.channels, FINISH_CHANNELS), 1, FINISH_THREADS, arguments);
}

// Channels-last memory whose vectors can be loaded at once.
at::Tensor rows_of(const at::Tensor& tensor) {
    const auto rows = tensor.contiguous(at::MemoryFormat::ChannelsLast);
    if (reinterpret_cast<uintptr_t>(rows.data_ptr()) % 16 == 0) return rows;
    return rows.clone(at::MemoryFormat::ChannelsLast);
}

// A thread that autograd started may have no context yet.
void enter() {
    CUcontext current = nullptr;
    check(driver().context(&current), "the thread's context");
    if (!current) check(cudaFree(nullptr), "the device's context");
}

Shape shape_of(const at::Tensor& x, int64_t pool) {
    return {x.device().index(), static_cast<int>(x.size(1)), static_cast<int>(pool), x.scalar_type() == at::kBFloat16};
}

Arguments sizes(const at::Tensor& x, int64_t pool, double eps) {
    Arguments a{};
    a.groups = static_cast<unsigned>(x.size(0) * x.size(2));
    a.width = static_cast<unsigned>(x.size(3));
    a.pooled = static_cast<unsigned>(x.size(3) / pool);
    a.spans = divided_up(a.width, static_cast<unsigned>(pool));
    a.eps = static_cast<float>(eps);
    return a;
}

class NormReluPool : public torch::autograd::Function<NormReluPool> {
  public:
    static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& given, const at::Tensor& gamma,
                              const at::Tensor& beta, const at::Tensor& running_mean, const at::Tensor& running_var,
                              double momentum, double eps, int64_t pool) {
        const c10::cuda::CUDAGuard device(given.device());
        enter();
        const auto x = rows_of(given);
        const Shape shape = shape_of(x, pool);
        const Kernels& found = kernels(shape);
        Arguments a = sizes(x, pool, eps);
        const auto y = at::empty({x.size(0), x.size(1), x.size(2), x.size(3) / pool}, x.options(), at::MemoryFormat::ChannelsLast);
        const auto floats = gamma.options();
        const auto statistics = at::empty({2, x.size(1)}, floats);
        a.blocks = blocks(found.moments, shape, a.groups * a.width, MOMENTS_DEPTH);
        const auto partials = at::empty({2, static_cast<int64_t>(a.blocks), x.size(1)}, floats);
        a.x = x.data_ptr();
        a.y = y.data_ptr();
        a.gamma = gamma.data_ptr<float>();
        a.beta = beta.data_ptr<float>();
        a.running_mean = running_mean.data_ptr<float>();
        a.running_var = running_var.data_ptr<float>();
        a.mean = statistics.data_ptr<float>();
        a.invstd = a.mean + x.size(1);
        a.partials = partials.data_ptr<float>();
        a.momentum = static_cast<float>(momentum);
        stream_rows(found.moments, shape, a.blocks, a);
        finish(found.finish_moments, shape, a);
        const unsigned count = blocks(found.outputs, shape, a.groups * a.pooled, outputs_at_once(shape.pool));
        stream_rows(found.outputs, shape, count, a);
        context->save_for_backward({x, gamma, beta, statistics});
        context->saved_data["pool"] = pool;
        context->saved_data["eps"] = eps;
        return y;
    }

    static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                   torch::autograd::variable_list gradients) {
        const auto saved = context->get_saved_variables();
        const auto &x = saved[0], &gamma = saved[1], &beta = saved[2], &statistics = saved[3];
        const int64_t pool = context->saved_data["pool"].toInt();
        const c10::cuda::CUDAGuard device(x.device());
        enter();
        const auto dy = rows_of(gradients[0]);
        TORCH_CHECK(dy.scalar_type() == x.scalar_type(), "the gradient's type is ", dy.scalar_type(), ", not ", x.scalar_type());
        const Shape shape = shape_of(x, pool);
        const Kernels& found = kernels(shape);
        Arguments a = sizes(x, pool, context->saved_data["eps"].toDouble());
        const auto parameters = at::empty({2, x.size(1)}, gamma.options());
        a.blocks = blocks(found.sums, shape, a.groups * a.pooled, outputs_at_once(shape.pool));
        const auto partials = at::empty({2, static_cast<int64_t>(a.blocks), x.size(1)}, gamma.options());
        a.x = x.data_ptr();
        a.dy = dy.data_ptr();
        a.gamma = gamma.data_ptr<float>();
        a.beta = beta.data_ptr<float>();
        a.mean = statistics.data_ptr<float>();
        a.invstd = a.mean + x.size(1);
        a.dgamma = parameters.data_ptr<float>();
        a.dbeta = a.dgamma + x.size(1);
        a.partials = partials.data_ptr<float>();
        stream_rows(found.sums, shape, a.blocks, a);
        finish(found.finish_sums, shape, a);
        at::Tensor dx;
        if (context->needs_input_grad(0)) {
            dx = at::empty_like(x, x.options(), at::MemoryFormat::ChannelsLast);
            a.dx = dx.data_ptr();
            const unsigned count = blocks(found.gradients, shape, a.groups * a.spans, gradients_at_once(shape.pool));
            stream_rows(found.gradients, shape, count, a);
        }
        const at::Tensor none;
        return {dx, parameters.select(0, 0), parameters.select(0, 1), none, none, none, none, none};
    }
};

void check_parameter(const at::Tensor& x, const at::Tensor& parameter, const char* name) {
    TORCH_CHECK(parameter.device() == x.device() && parameter.scalar_type() == at::kFloat && parameter.is_contiguous() &&
                    parameter.dim() == 1 && parameter.size(0) == x.size(1),
                name, " must be ", x.size(1), " f32 values on ", x.device());
}

// The stream of captures and of what runs before them: cuBLAS and cuDNN keep handles and workspaces for each stream. A
// capture has memory of its own.
c10::cuda::CUDAStream side_stream() {
    static std::mutex mutex;
    static std::map<int, c10::cuda::CUDAStream> streams;
    const std::lock_guard lock(mutex);
    const auto device = c10::cuda::current_device();
    const auto found = streams.find(device);
    if (found != streams.end()) return found->second;
    return streams.emplace(device, c10::cuda::getStreamFromPool(/*isHighPriority=*/false, device)).first->second;
}

// `later` waits for what `earlier` holds now.
void order(c10::cuda::CUDAStream earlier, c10::cuda::CUDAStream later) {
    cudaEvent_t event = nullptr;
    check(cudaEventCreateWithFlags(&event, cudaEventDisableTiming), "an event");
    const auto recorded = cudaEventRecord(event, earlier.stream());
    const auto waits = recorded == cudaSuccess ? cudaStreamWaitEvent(later.stream(), event, 0) : recorded;
    cudaEventDestroy(event);
    check(waits, "ordering two streams");
}

}  // namespace

struct LeitmotifGraph {
    at::cuda::CUDAGraph graph;
};

// Of these functions' arguments and meaning: the program wants the version that it was built with.
EXPORT int64_t leitmotif_version() { return LEITMOTIF_VERSION; }

// y = max pool over the last axis of relu(batch norm of x); `*y` becomes a new tensor.
EXPORT const char* leitmotif_norm_relu_pool(const at::Tensor* x, const at::Tensor* gamma, const at::Tensor* beta,
                                            const at::Tensor* running_mean, const at::Tensor* running_var, double momentum,
                                            double eps, int64_t pool, at::Tensor** y) {
    return guarded([&] {
        TORCH_CHECK(x->is_cuda(), "the fused operator wants a tensor on a GPU, not on ", x->device());
        TORCH_CHECK(x->dim() == 4 && x->numel() > 0, "the fused operator wants [batch, channels, segments, samples], not ", x->sizes());
        TORCH_CHECK(x->scalar_type() == at::kFloat || x->scalar_type() == at::kBFloat16,
                    "the fused operator wants f32 or bf16, not ", x->scalar_type());
        TORCH_CHECK(pool >= 1 && pool <= 64 && pool <= x->size(3), "cannot pool ", pool, " of ", x->size(3), " samples");
        TORCH_CHECK(x->size(1) <= 65536 && x->numel() / x->size(1) < (int64_t{1} << 31), "too many rows or channels: ", x->sizes());
        check_parameter(*x, *gamma, "gamma");
        check_parameter(*x, *beta, "beta");
        check_parameter(*x, *running_mean, "the running mean");
        check_parameter(*x, *running_var, "the running variance");
        *y = new at::Tensor(NormReluPool::apply(*x, *gamma, *beta, *running_mean, *running_var, momentum, eps, pool));
    });
}

// A copy of a host's tensor on a GPU, through memory that the GPU reads by itself: nothing waits for its other work.
EXPORT const char* leitmotif_upload(const at::Tensor* host, int64_t device, at::Tensor** copy) {
    return guarded([&] {
        const auto to = c10::Device(c10::kCUDA, static_cast<c10::DeviceIndex>(device));
        *copy = new at::Tensor(host->pin_memory().to(to, host->scalar_type(), /*non_blocking=*/true));
    });
}

// Makes the side stream the thread's stream; `*before` becomes what `leitmotif_leave_side_stream` wants back.
EXPORT const char* leitmotif_enter_side_stream(int64_t (*before)[3]) {
    return guarded([&] {
        const auto current = c10::cuda::getCurrentCUDAStream();
        const auto packed = current.pack3();
        (*before)[0] = packed.stream_id;
        (*before)[1] = packed.device_index;
        (*before)[2] = static_cast<int64_t>(packed.device_type);
        const auto side = side_stream();
        order(current, side);
        c10::cuda::setCurrentCUDAStream(side);
    });
}

// Sets the stream from before, which waits for the side stream's work.
EXPORT const char* leitmotif_leave_side_stream(const int64_t (*before)[3]) {
    return guarded([&] {
        const auto earlier = c10::cuda::CUDAStream::unpack3(
            (*before)[0], static_cast<c10::DeviceIndex>((*before)[1]), static_cast<c10::DeviceType>((*before)[2]));
        const auto side = c10::cuda::getCurrentCUDAStream();
        c10::cuda::setCurrentCUDAStream(earlier);
        order(side, earlier);
    });
}

// Begins to record the work given to the thread's stream, the side stream, instead of doing it.
EXPORT const char* leitmotif_graph_begin(LeitmotifGraph** graph) {
    return guarded([&] {
        c10::cuda::device_synchronize();
        auto made = std::make_unique<LeitmotifGraph>();
        // Other threads, such as one that copies batches, may go on meanwhile.
        made->graph.capture_begin({0, 0}, cudaStreamCaptureModeThreadLocal);
        *graph = made.release();
    });
}

EXPORT const char* leitmotif_graph_end(LeitmotifGraph* graph) {
    return guarded([&] { graph->graph.capture_end(); });
}

// Does the recorded work again, on the thread's stream.
EXPORT const char* leitmotif_graph_replay(LeitmotifGraph* graph) {
    return guarded([&] { graph->graph.replay(); });
}

EXPORT const char* leitmotif_graph_free(LeitmotifGraph* graph) {
    return guarded([&] {
        c10::cuda::device_synchronize();
        delete graph;
    });
}

// Waits for all work of the thread's device.
EXPORT const char* leitmotif_synchronize() {
    return guarded([] { c10::cuda::device_synchronize(); });
}
