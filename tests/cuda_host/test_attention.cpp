/* The attention kernels where the operation table does not reach: every padded head size, head's rows resident and
 * streamed, several rounds of tiles a warp, packed and unaligned rows, on devices of several sizes, in three thread
 * orders whose bits must agree. The reference is a double loop written from the formulas of ops.def.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
extern "C" { /* the header has no such thing of its own, and needs the four above */
#include <cmocka.h>
}

#include "attention.cuh"

#include <random>
#include <string>
#include <vector>

extern "C" {
extern const bt_attention_kernel bt_cuda_attention;
extern const bt_attention_dx_kernel bt_cuda_attention_dx;
}

typedef std::vector<double> values;

/** One call: q is an operand of its own when `queries` is not 0; rows are `gap` elements longer than they need be. */
struct call {
    int samples, tokens, queries, heads, head_size, gap;
    bt_dtype dtype;
    double offset; /* added to q and taken from k: scores around -scale * head_size * offset^2 */
};

/** An operand with NaN in the gaps and, for an output, everywhere. */
struct operand {
    std::vector<unsigned char> memory;
    bt_tensor tensor;

    operand(bt_dtype dtype, bt_shape shape, int gap) : tensor(bt_tensor_of(nullptr, dtype, shape)) {
        tensor.ld += gap;
        memory.assign((size_t)(bt_shape_rows(shape) * tensor.ld) * bt_dtype_bytes(dtype) + 16, 0xff);
        const uintptr_t address = reinterpret_cast<uintptr_t>(memory.data());
        tensor.data = memory.data() + (16 - address % 16) % 16;
    }
    int64_t cols() const { return bt_shape_cols(tensor.shape); }
    void put(int64_t i, double value) {
        const int64_t at = i / cols() * tensor.ld + i % cols();
        if (tensor.dtype == BT_F32)
            static_cast<float *>(tensor.data)[at] = (float)value;
        else
            static_cast<uint16_t *>(tensor.data)[at] = bt_bf16_of((float)value);
    }
    double get(int64_t i) const {
        const int64_t at = i / cols() * tensor.ld + i % cols();
        return tensor.dtype == BT_F32 ? (double)static_cast<float *>(tensor.data)[at]
                                      : (double)bt_bf16_to_float(static_cast<uint16_t *>(tensor.data)[at]);
    }
    values all() const {
        values v((size_t)bt_shape_count(tensor.shape));
        for (size_t i = 0; i < v.size(); i++) v[i] = get((int64_t)i);
        return v;
    }
};

/** |a - b| / |b|; a NaN gives infinity. */
static double distance(const values &a, const values &b) {
    double difference = 0, norm = 0;
    for (size_t i = 0; i < a.size(); i++) difference += (a[i] - b[i]) * (a[i] - b[i]), norm += b[i] * b[i];
    const double d = norm > 0 ? sqrt(difference / norm) : sqrt(difference);
    return d == d ? d : INFINITY;
}

struct attention_case {
    const call c;
    const bool separate;
    const int queries, width, shares; /* rows of q and o; heads * head_size; parts of qkv */
    operand qkv, q, o, lse, dy, dqkv, dq;
    values ref_o, ref_lse, ref_dqkv, ref_dq;

    explicit attention_case(const call &call_)
        : c(call_), separate(c.queries > 0), queries(separate ? c.queries : c.tokens), width(c.heads * c.head_size),
          shares(separate ? 2 : 3), qkv(c.dtype, bt_shape3(c.samples, c.tokens, shares * width), c.gap),
          q(c.dtype, bt_shape3(c.samples, queries, width), c.gap), o(c.dtype, q.tensor.shape, c.gap),
          lse(BT_F32, bt_shape3(c.samples, c.heads, queries), 0), dy(c.dtype, q.tensor.shape, c.gap),
          dqkv(c.dtype, qkv.tensor.shape, c.gap), dq(c.dtype, q.tensor.shape, c.gap) {
        std::mt19937_64 random(1);
        std::normal_distribution<double> normal;
        for (int64_t i = 0; i < bt_shape_count(qkv.tensor.shape); i++) {
            const int part = (int)(i % (shares * width)) / width + (separate ? 1 : 0);
            qkv.put(i, normal(random) + (part == 0 ? c.offset : part == 1 ? -c.offset : 0));
        }
        for (int64_t i = 0; i < bt_shape_count(q.tensor.shape); i++) {
            q.put(i, normal(random) + c.offset);
            dy.put(i, normal(random));
        }
        reference();
    }

    double scale() const { return (double)(float)(1 / sqrt((double)c.head_size)); }
    size_t at_q(int n, int i, int h) const {
        return (size_t)((n * queries + i) * (separate ? 1 : 3) * width + h * c.head_size);
    }
    size_t at_kv(int n, int j, int h, int part) const { /* part 1: k, 2: v */
        return (size_t)((n * c.tokens + j) * shares * width + (part - separate) * width + h * c.head_size);
    }

    void reference() {
        const values kv = qkv.all(), own = separate ? q.all() : kv, g = dy.all();
        ref_o.assign(g.size(), 0), ref_dq.assign(g.size(), 0), ref_dqkv.assign(kv.size(), 0);
        for (int n = 0; n < c.samples; n++)
            for (int h = 0; h < c.heads; h++)
                for (int i = 0; i < queries; i++) row(n, h, i, kv, own, g);
    }
    void row(int n, int h, int i, const values &kv, const values &own, const values &g) {
        const size_t D = (size_t)c.head_size, qi = at_q(n, i, h);
        const size_t oi = (size_t)((n * queries + i) * width + h * c.head_size);
        values s((size_t)c.tokens, 0.0);
        double largest = -INFINITY, sum = 0, delta = 0;
        for (int j = 0; j < c.tokens; j++) {
            for (size_t d = 0; d < D; d++) s[(size_t)j] += scale() * own[qi + d] * kv[at_kv(n, j, h, 1) + d];
            largest = fmax(largest, s[(size_t)j]);
        }
        for (double score : s) sum += exp(score - largest);
        ref_lse.push_back(largest + log(sum));
        for (int j = 0; j < c.tokens; j++)
            for (size_t d = 0; d < D; d++)
                ref_o[oi + d] += exp(s[(size_t)j] - ref_lse.back()) * kv[at_kv(n, j, h, 2) + d];
        for (size_t d = 0; d < D; d++) delta += g[oi + d] * ref_o[oi + d];
        double *dq_row = separate ? &ref_dq[oi] : &ref_dqkv[qi];
        for (int j = 0; j < c.tokens; j++) {
            const size_t k = at_kv(n, j, h, 1), v = at_kv(n, j, h, 2);
            double dp = 0;
            for (size_t d = 0; d < D; d++) dp += g[oi + d] * kv[v + d];
            const double p = exp(s[(size_t)j] - ref_lse.back()), ds = scale() * p * (dp - delta);
            for (size_t d = 0; d < D; d++) {
                ref_dqkv[v + d] += p * g[oi + d];
                ref_dqkv[k + d] += ds * own[qi + d];
                dq_row[d] += ds * kv[k + d];
            }
        }
    }

    void run(bt_device *device) {
        bt_attention_args f = {};
        f.qkv = qkv.tensor, f.o = o.tensor, f.lse = lse.tensor, f.heads = c.heads, f.scale = (float)scale();
        bt_attention_dx_args b = {};
        b.do_ = dy.tensor, b.o = o.tensor, b.lse = lse.tensor, b.qkv = qkv.tensor, b.dqkv = dqkv.tensor;
        b.heads = f.heads, b.scale = f.scale;
        if (separate) f.q = b.q = q.tensor, b.dq = dq.tensor;
        bt_prepared forward = {}, backward = {};
        assert_int_equal(bt_cuda_attention.prepare(device, &f, &forward), BT_OK);
        assert_int_equal(bt_cuda_attention_dx.prepare(device, &b, &backward), BT_OK);
        std::vector<float> scratch(backward.scratch_bytes / sizeof(float), NAN);
        for (operand *out : {&o, &lse, &dqkv, &dq}) out->memory.assign(out->memory.size(), 0xff);
        if (bt_cuda_attention.run(device, &f, &forward, nullptr) != BT_OK) fail_msg("%s", bt_error_message());
        if (bt_cuda_attention_dx.run(device, &b, &backward, scratch.data()) != BT_OK)
            fail_msg("%s", bt_error_message());
    }
};

struct device_size {
    int multiprocessors;
    size_t shared_bytes;
};
/* A large one spreads a head over blocks; on a small one each warp has several tiles; the last one streams 257 rows. */
static const device_size devices[] = {{132, 227 << 10}, {1, 227 << 10}, {1, 99 << 10}};

/* Relative errors. f32: what the multiply-adds of a row leave. bf16: o, p and ds are rounded once (2^-9), and with few
 * keys ds is a small difference of such numbers. */
static const double f32_error = 2e-6, bf16_error = 1e-2;

static void check(const call &c, double f32_tolerance = f32_error) {
    attention_case a(c);
    const double tolerance = c.dtype == BT_F32 ? f32_tolerance : bf16_error;
    values first_o, first_dqkv;
    for (const device_size &size : devices) {
        for (int order = 0; order < 3; order++) {
            bt_step step = {};
            bt_cuda_device device = {};
            device.base.step = &step;
            device.multiprocessors = size.multiprocessors;
            device.shared_bytes = size.shared_bytes;
            bt_host::set_order((bt_host::thread_order)order, 7);
            a.run(&device.base);
            const values o = a.o.all(), dqkv = a.dqkv.all();
            if (first_o.empty()) first_o = o, first_dqkv = dqkv;
            const double errors[] = {distance(o, a.ref_o), distance(a.lse.all(), a.ref_lse), distance(dqkv, a.ref_dqkv),
                                     a.separate && c.tokens > 1 ? distance(a.dq.all(), a.ref_dq) : 0.0};
            for (double error : errors) {
                if (!(error <= tolerance))
                    fail_msg(
                        "%s, %d tokens, %d queries, %d x %d, gap %d, %d multiprocessors, order %d: errors of o, lse, "
                        "dqkv, dq %.1e %.1e %.1e %.1e",
                        bt_dtype_name(c.dtype), c.tokens, c.queries, c.heads, c.head_size, c.gap, size.multiprocessors,
                        order, errors[0], errors[1], errors[2], errors[3]);
            }
            assert_memory_equal(o.data(), first_o.data(), o.size() * sizeof(double));
            assert_memory_equal(dqkv.data(), first_dqkv.data(), dqkv.size() * sizeof(double));
        }
    }
}

static void test_tokens(void **) {
    for (int tokens : {1, 5, 17, 64, 65, 257, 272, 300, 500}) {
        check({2, tokens, 0, tokens < 65 ? 6 : 1, 64, 0, BT_BF16, 0});
        check({1, tokens, 1, 2, 64, 0, BT_BF16, 0});
        check({1, tokens, tokens < 100 ? 0 : 1, 1, 64, 0, BT_F32, 0});
    }
}

static void test_head_sizes(void **) {
    for (int head_size : {7, 24, 32, 80, 88, 96, 100, 128}) {
        check({1, 65, 0, 2, head_size, 0, BT_BF16, 0});
        check({2, 33, 3, 1, head_size, 3, BT_BF16, 0});
        check({1, 37, 0, 1, head_size, 1, BT_F32, 0});
        check({1, 150, 18, 1, head_size, 4, BT_F32, 0});
    }
    check({1, 300, 0, 1, 128, 8, BT_BF16, 0});
}

/* Padded keys have score 0, far above scores of -128: unmasked, their p = exp(0 - lse) would overflow, and times the
 * padding's zeros be NaN. f32 keeps scores of 128 to 2^-17. */
static void test_low_scores(void **) {
    attention_case a({1, 17, 0, 1, 64, 0, BT_F32, 4});
    assert_true(a.ref_lse[0] < -100);
    check(a.c, 3e-5);
}

static void test_refusals(void **) {
    bt_cuda_device device = {};
    attention_case a({1, 2, 0, 1, 136, 0, BT_F32, 0});
    bt_attention_args args = {};
    bt_prepared prepared = {};
    args.qkv = a.qkv.tensor, args.o = a.o.tensor, args.lse = a.lse.tensor, args.heads = 1, args.scale = 1;
    assert_int_equal(bt_cuda_attention.prepare(&device.base, &args, &prepared), BT_ERR_UNSUPPORTED);
    assert_string_equal(bt_error_message(), "attention on cuda: head size 136 is not supported; it may be 1 to 128");
    args.heads = 2, args.scale = -1;
    assert_int_equal(bt_cuda_attention.prepare(&device.base, &args, &prepared), BT_ERR_UNSUPPORTED);
    assert_string_equal(bt_error_message(), "attention on cuda: scale -1 is not supported; it must be above 0");
}

int main() {
    const CMUnitTest tests[] = {cmocka_unit_test(test_tokens), cmocka_unit_test(test_head_sizes),
                                cmocka_unit_test(test_low_scores), cmocka_unit_test(test_refusals)};
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
