// One specialisation of the kernels with its test; the includer sets NAME and the macros of kernels.cu.

#define FINISH_THREADS 32

namespace NAME {
#include "../kernels.cu"

// Runs both passes for that shape on `blocks` blocks and returns the worst difference over its tolerance.
double run(u32 groups, u32 width, u32 blocks) {
    const u32 rows = groups * width, pooled = width / POOL;
    const u32 spans = (width + POOL - 1) / POOL, outputs_count = groups * pooled;
    Data data(rows, outputs_count, CHANNELS, BF16);
    std::vector<Pack> x(rows * VECTORS), dx(rows * VECTORS), y(outputs_count * VECTORS), dy(outputs_count * VECTORS);
    fill(x, data.x, BF16);
    fill(dy, data.dy, BF16);
    std::vector<float> partials(2 * blocks * CHANNELS, NAN), mean(CHANNELS), invstd(CHANNELS);
    std::vector<float> dgamma(CHANNELS), dbeta(CHANNELS);
    auto running_mean = data.running_mean, running_var = data.running_var;
    Arguments a{};
    a.x = x.data(), a.y = y.data(), a.dy = dy.data(), a.dx = dx.data();
    a.gamma = data.gamma.data(), a.beta = data.beta.data();
    a.running_mean = running_mean.data(), a.running_var = running_var.data();
    a.mean = mean.data(), a.invstd = invstd.data(), a.dgamma = dgamma.data(), a.dbeta = dbeta.data();
    a.partials = partials.data();
    a.momentum = MOMENTUM, a.eps = EPS;
    a.groups = groups, a.width = width, a.pooled = pooled, a.spans = spans, a.blocks = blocks;
    const Index grid{blocks, (VECTORS + TILE - 1) / TILE}, finish{(CHANNELS + FINISH_CHANNELS - 1) / FINISH_CHANNELS, 1};
    launch(moments, grid, TILE * LANES, a);
    launch(finish_moments, finish, FINISH_THREADS, a);
    launch(outputs, grid, TILE * LANES, a);
    launch(sums, grid, TILE * LANES, a);
    launch(finish_sums, finish, FINISH_THREADS, a);
    launch(gradients, grid, TILE * LANES, a);

    const Reference expected = reference(data, groups, width, CHANNELS, POOL);
    double worst = 0;
    worst = std::max(worst, difference("y", values(y, BF16), expected.y, BF16 ? 4e-3 : 1e-5));
    worst = std::max(worst, difference("dx", values(dx, BF16), expected.dx, BF16 ? 4e-3 : 1e-5));
    worst = std::max(worst, difference("dgamma", doubles(dgamma), expected.dgamma, 1e-5));
    worst = std::max(worst, difference("dbeta", doubles(dbeta), expected.dbeta, 1e-5));
    worst = std::max(worst, difference("running_mean", doubles(running_mean), expected.running_mean, 1e-6));
    worst = std::max(worst, difference("running_var", doubles(running_var), expected.running_var, 1e-6));
    std::printf("%s channels %d pool %d threads %d: [%u, %u] on %u blocks: %.2f of the tolerance\n", BF16 ? "bf16" : "f32",
                CHANNELS, POOL, THREADS, groups, width, blocks, worst);
    return worst;
}
}  // namespace NAME

#undef NAME
#undef CHANNELS
#undef POOL
#undef BF16
#undef VECTOR
#undef THREADS
#undef FINISH_THREADS
