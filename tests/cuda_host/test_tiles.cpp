/* The twins of the hardware's warp operations: fragment layouts element by element against the PTX ISA's formulas
 * (section "Matrix Fragments for mma.m16n8k16 with floating point type"), products against double precision, reductions
 * bit by bit against shuffles, and the rounding to bf16.
 *
 * A product alone cannot show a wrong layout: a permutation common to A and B cancels. So the registers are looked at.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
extern "C" { /* the header has no such thing of its own, and needs the four above */
#include <cmocka.h>
}

#include "kernel.cuh"

#include <random>
#include <string.h>
#include <vector>

static constexpr int N8 = 4, COLUMNS = 8 * N8, LD = 40; /* ld: a multiple of 8 that is not the width */

/* ---- the formulas of the PTX ISA, with element i counted over the halves of the registers -------------------------
 */

static int ptx_a_row(int lane, int i) {
    return (i < 2 || (i >= 4 && i < 6)) ? lane >> 2 : (lane >> 2) + 8;
}
static int ptx_a_column(int lane, int i) {
    return lane % 4 * 2 + (i & 1) + (i < 4 ? 0 : 8);
}
static int ptx_b_row(int lane, int i) {
    return lane % 4 * 2 + (i & 1) + (i < 2 ? 0 : 8);
}
static int ptx_b_column(int lane) {
    return lane >> 2;
}
static int ptx_c_row(int lane, int i) {
    return i < 2 ? lane >> 2 : (lane >> 2) + 8;
}
static int ptx_c_column(int lane, int i) {
    return lane % 4 * 2 + (i & 1);
}

static uint16_t half_of(const uint32_t *registers, int i) {
    return (uint16_t)(registers[i / 2] >> (16 * (i % 2)));
}

struct fragments {
    uint32_t a[32][4], a_t[32][4], b[32][N8][2], b_t[32][N8][2];
    int row[32][4], column[32][N8][4];
};

__global__ void load_fragments(fragments *out, const bt_bf16 *in) {
    BT_SHARED_DYNAMIC(bt_bf16, tile);
    const int lane = (int)threadIdx.x;
    for (int i = lane; i < 40 * LD; i += 32) tile[i] = in[i];
    __syncthreads();
    bt_frag_a(out->a[lane], tile, LD);
    bt_frag_a_t(out->a_t[lane], tile, LD);
    bt_frag_b(out->b[lane], tile, LD);
    bt_frag_b_t(out->b_t[lane], tile, LD);
    for (int i = 0; i < 4; i++) {
        out->row[lane][i] = bt_row(i);
        for (int j = 0; j < N8; j++) out->column[lane][j][i] = bt_column(j, i);
    }
}

static void test_fragment_layouts(void **) {
    std::vector<bt_bf16> in(40 * LD);
    for (size_t i = 0; i < in.size(); i++) in[i].bits = (uint16_t)i; /* the value is the place */
    static fragments f;
    fragments *out = &f;
    const bt_bf16 *data = in.data();
    assert_int_equal(BT_LAUNCH((load_fragments), 1, 32, in.size() * 2, NULL, out, data), BT_OK);
    for (int lane = 0; lane < 32; lane++) {
        for (int i = 0; i < 8; i++) {
            const int row = ptx_a_row(lane, i), column = ptx_a_column(lane, i);
            assert_int_equal(half_of(f.a[lane], i), row * LD + column);
            assert_int_equal(half_of(f.a_t[lane], i), column * LD + row);
        }
        for (int j = 0; j < N8; j++) {
            for (int i = 0; i < 4; i++) {
                const int row = ptx_b_row(lane, i), column = 8 * j + ptx_b_column(lane);
                assert_int_equal(half_of(f.b[lane][j], i), column * LD + row);
                assert_int_equal(half_of(f.b_t[lane][j], i), row * LD + column);
                assert_int_equal(f.row[lane][i], ptx_c_row(lane, i));
                assert_int_equal(f.column[lane][j][i], 8 * j + ptx_c_column(lane, i));
            }
        }
    }
}

/* ---- products ---------------------------------------------------------------------------------------------------- */

struct registers {
    uint32_t a[32][4], b[32][N8][2];
    float d[32][N8][4];
};

__global__ void multiply_registers(registers *r) {
    const int lane = (int)threadIdx.x;
    float d[N8][4];
    memcpy(d, r->d[lane], sizeof d);
    bt_mma(d, r->a[lane], r->b[lane]);
    memcpy(r->d[lane], d, sizeof d);
}

static void put_half(uint32_t *registers, int i, float value) {
    registers[i / 2] |= (uint32_t)bt_bf16_of(value) << (16 * (i % 2));
}

/* One element of A, one of B, each at the place the PTX ISA names: exactly one element of d, or none. */
static void test_product_one_hot(void **) {
    static registers r;
    registers *data = &r;
    for (int trial = 0; trial < 512; trial++) {
        const int a_row = trial % 16, a_inner = trial / 16 % 16, column = trial * 7 % COLUMNS;
        const int b_inner = trial % 3 ? a_inner : (a_inner + 5) % 16;
        memset(&r, 0, sizeof r);
        for (int lane = 0; lane < 32; lane++) {
            for (int i = 0; i < 8; i++)
                if (ptx_a_row(lane, i) == a_row && ptx_a_column(lane, i) == a_inner) put_half(r.a[lane], i, 3.0f);
            for (int j = 0; j < N8; j++)
                for (int i = 0; i < 4; i++)
                    if (ptx_b_row(lane, i) == b_inner && 8 * j + ptx_b_column(lane) == column)
                        put_half(r.b[lane][j], i, 5.0f);
        }
        assert_int_equal(BT_LAUNCH((multiply_registers), 1, 32, 0, NULL, data), BT_OK);
        for (int lane = 0; lane < 32; lane++)
            for (int j = 0; j < N8; j++)
                for (int i = 0; i < 4; i++) {
                    const bool here = ptx_c_row(lane, i) == a_row && 8 * j + ptx_c_column(lane, i) == column;
                    assert_true(r.d[lane][j][i] == (here && a_inner == b_inner ? 15.0f : 0.0f));
                }
    }
}

/* d (16,COLUMNS) = a (16,32) b (32,COLUMNS) + 1 from shared memory, by all four loads; in f32 by bt_mma_f32. */
struct product_case {
    bt_bf16 a[16 * LD], a_t[32 * LD], b[COLUMNS * LD], b_t[32 * LD];
    float a_f32[16 * 32], b_f32[32 * COLUMNS];
};

__global__ void multiply_tiles(float *d_out, float *d_t_out, float *d_f32_out, const product_case *in) {
    BT_SHARED(product_case, tile, [1]);
    const int lane = (int)threadIdx.x;
    const unsigned char *from = reinterpret_cast<const unsigned char *>(in);
    unsigned char *to = reinterpret_cast<unsigned char *>(tile);
    for (size_t i = (size_t)lane; i < sizeof *in; i += 32) to[i] = from[i];
    __syncthreads();
    float d[N8][4], d_t[N8][4], d_f32[N8][4];
    for (int j = 0; j < N8; j++)
        for (int i = 0; i < 4; i++) d[j][i] = d_t[j][i] = d_f32[j][i] = 1.0f;
    for (int k = 0; k < 32; k += 16) {
        uint32_t a[4], b[N8][2];
        bt_frag_a(a, tile->a + k, LD);
        bt_frag_b(b, tile->b + k, LD);
        bt_mma(d, a, b);
        bt_frag_a_t(a, tile->a_t + k * LD, LD);
        bt_frag_b_t(b, tile->b_t + k * LD, LD);
        bt_mma(d_t, a, b);
    }
    bt_mma_f32(d_f32, tile->a_f32, 32, 1, tile->b_f32, 1, COLUMNS, 32);
    for (int j = 0; j < N8; j++)
        for (int i = 0; i < 4; i++) {
            const int at = bt_row(i) * COLUMNS + bt_column(j, i);
            d_out[at] = d[j][i];
            d_t_out[at] = d_t[j][i];
            d_f32_out[at] = d_f32[j][i];
        }
}

static void test_products(void **) {
    std::mt19937 draw(11);
    std::normal_distribution<float> normal;
    static product_case in;
    std::vector<double> a(16 * 32), b(32 * COLUMNS);
    for (int k = 0; k < 32; k++) {
        for (int row = 0; row < 16; row++) {
            const uint16_t bits = bt_bf16_of(normal(draw));
            in.a[row * LD + k].bits = in.a_t[k * LD + row].bits = bits;
            a[(size_t)(row * 32 + k)] = in.a_f32[row * 32 + k] = bt_bf16_to_float(bits);
        }
        for (int column = 0; column < COLUMNS; column++) {
            const uint16_t bits = bt_bf16_of(normal(draw));
            in.b[column * LD + k].bits = in.b_t[k * LD + column].bits = bits;
            b[(size_t)(k * COLUMNS + column)] = in.b_f32[k * COLUMNS + column] = bt_bf16_to_float(bits);
        }
    }
    float d[3][16 * COLUMNS];
    float *d0 = d[0], *d1 = d[1], *d2 = d[2];
    const product_case *data = &in;
    assert_int_equal(BT_LAUNCH((multiply_tiles), 1, 32, 0, NULL, d0, d1, d2, data), BT_OK);
    for (int row = 0; row < 16; row++)
        for (int column = 0; column < COLUMNS; column++) {
            double sum = 1.0;
            for (int k = 0; k < 32; k++) sum += a[(size_t)(row * 32 + k)] * b[(size_t)(k * COLUMNS + column)];
            for (const auto &found : d) assert_true(fabs(found[row * COLUMNS + column] - sum) < 1e-4);
        }
}

/* An accumulator tile becomes an A fragment: the identity times B gives B back. */
__global__ void chain(float *out, const bt_bf16 *in) {
    BT_SHARED(bt_bf16, tile, [16 * LD]);
    const int lane = (int)threadIdx.x;
    for (int i = lane; i < 16 * LD; i += 32) tile[i] = in[i];
    __syncthreads();
    float identity[2][4], d[N8][4] = {};
    for (int j = 0; j < 2; j++)
        for (int i = 0; i < 4; i++) identity[j][i] = bt_row(i) == bt_column(j, i) ? 1.0f : 0.0f;
    uint32_t a[4], b[N8][2];
    bt_frag_a_of(a, identity[0], identity[1]);
    bt_frag_b_t(b, tile, LD);
    bt_mma(d, a, b);
    for (int j = 0; j < N8; j++)
        for (int i = 0; i < 4; i++) out[bt_row(i) * COLUMNS + bt_column(j, i)] = d[j][i];
}

static void test_accumulator_as_fragment(void **) {
    std::vector<bt_bf16> in(16 * LD);
    for (int i = 0; i < 16 * LD; i++) in[(size_t)i].bits = bt_bf16_of((float)(i % 251));
    float out[16 * COLUMNS];
    float *found = out;
    const bt_bf16 *data = in.data();
    assert_int_equal(BT_LAUNCH((chain), 1, 32, 0, NULL, found, data), BT_OK);
    for (int row = 0; row < 16; row++)
        for (int column = 0; column < COLUMNS; column++)
            assert_true(out[row * COLUMNS + column] == (float)((row * LD + column) % 251));
}

/* ---- reductions -------------------------------------------------------------------------------------------------- */

/* As reduce.cuh does it on the device. */
__global__ void reduce_both_ways(float *coarse, float *shuffled, const float *in) {
    const int i = (int)threadIdx.x;
    float v = in[i], largest = in[i];
    for (int step = 16; step > 0; step >>= 1) {
        v += __shfl_xor_sync(BT_FULL_WARP, v, step);
        largest = fmaxf(largest, __shfl_xor_sync(BT_FULL_WARP, largest, step));
    }
    float quad = in[i];
    quad += __shfl_xor_sync(BT_FULL_WARP, quad, 2);
    quad += __shfl_xor_sync(BT_FULL_WARP, quad, 1);
    shuffled[i] = v, shuffled[64 + i] = largest, shuffled[128 + i] = quad;
    coarse[i] = bt_warp_sum(in[i]), coarse[64 + i] = bt_warp_max(in[i]), coarse[128 + i] = bt_quad_sum(in[i]);
}

static void test_reductions_have_the_bits_of_shuffles(void **) {
    std::mt19937 draw(5);
    std::normal_distribution<float> normal;
    float in[64], coarse[192], shuffled[192];
    for (float &v : in) v = normal(draw) * 1000.0f;
    in[40] = NAN; /* in the second warp only */
    float *c = coarse, *s = shuffled;
    const float *data = in;
    assert_int_equal(BT_LAUNCH((reduce_both_ways), 1, 64, 0, NULL, c, s, data), BT_OK);
    assert_memory_equal(coarse, shuffled, 32 * sizeof(float));
    assert_memory_equal(coarse + 64, shuffled + 64, 64 * sizeof(float));
    assert_memory_equal(coarse + 128, shuffled + 128, 32 * sizeof(float));
    assert_true(coarse[32] != coarse[32] && coarse[64 + 32] == coarse[64 + 32]);
}

__global__ void sum_block(double *out, const double *in) {
    const double sum = bt_block_sum(in[threadIdx.x]), again = bt_block_sum(-in[threadIdx.x]);
    const double most = bt_block_max(in[threadIdx.x]);
    out[threadIdx.x] = sum;
    out[160 + threadIdx.x] = again;
    out[320 + threadIdx.x] = most;
}

static void test_block_reductions(void **) {
    double in[160], out[480];
    for (int i = 0; i < 160; i++) in[i] = (i * 37) % 160 - 200;
    double *found = out;
    const double *data = in;
    for (bt_host::thread_order order : {bt_host::FORWARD, bt_host::REVERSE, bt_host::RANDOM}) {
        bt_host::set_order(order, 9);
        assert_int_equal(BT_LAUNCH((sum_block), 3, 160, 0, NULL, found, data), BT_OK);
        for (int i = 0; i < 160; i++) {
            assert_true(out[i] == 160 * 159 / 2 - 200 * 160 && out[160 + i] == -out[i]);
            assert_true(out[320 + i] == -41);
        }
    }
    bt_host::set_order(bt_host::FORWARD, 0);
}

/* ---- numbers ----------------------------------------------------------------------------------------------------- */

static void test_bf16_rounding(void **) {
    std::mt19937 draw(3);
    for (int i = 0; i < 200000; i++) {
        const float value = __uint_as_float(draw());
        const uint16_t found = bt_from_float<bt_bf16>(value).bits;
        if (value != value) {
            assert_int_equal(found, 0x7fff); /* what cvt.rn.bf16 makes of every NaN */
            continue;
        }
        assert_int_equal(found, bt_bf16_of(value));
        assert_int_equal(bt_pack_bf16(1.0f, value), (uint32_t)found << 16 | 0x3f80u);
    }
    assert_int_equal(bt_from_float<bt_bf16>(INFINITY).bits, 0x7f80);
    assert_int_equal(bt_from_float<bt_bf16>(3.4e38f).bits, 0x7f80); /* beyond the largest bf16 */
}

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(test_fragment_layouts),
        cmocka_unit_test(test_product_one_hot),
        cmocka_unit_test(test_products),
        cmocka_unit_test(test_accumulator_as_fragment),
        cmocka_unit_test(test_reductions_have_the_bits_of_shuffles),
        cmocka_unit_test(test_block_reductions),
        cmocka_unit_test(test_bf16_rounding),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
