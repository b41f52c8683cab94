/* Views of pictures: crop, resize, mirror, colour; bytes to bytes, the same bits as src/pixels (docs/augmentation.md).
 *
 *   records    one block: the first record that is out of range becomes the step's fault
 *   geometry   one block per tile of 32 x 8 pixels of a view: rows of the picture go through shared memory, each
 *              resampled along the row once a tile, and every thread adds up one pixel of the view
 *   colour     one block per view walks the steps; a thread meets the same pixels in every pointwise step, so only
 *              contrast (a sum over the view) and blur (neighbours) wait for the block
 *
 * Weights are computed in float64 per tile: 40 sums, then at most CACHED weights each; those of taps behind (pictures
 * more than 16 times as large as the view) are computed when they are used.
 */
#include "operands.cuh"

#include "pixels/view.h"

namespace {

constexpr int TILE_WIDTH = 32, TILE_HEIGHT = 8, TILE_THREADS = TILE_WIDTH * TILE_HEIGHT;
constexpr int AXES = TILE_WIDTH + TILE_HEIGHT; /* columns, then lines, of a tile */
constexpr int CACHED = 33;                     /* weights of each; odd, so that columns lie in different banks */
constexpr int RECORD_THREADS = 256, COLOUR_THREADS = 512;

/** Copies record `row` to shared memory; rows of `views` may begin at any byte. All threads call. */
BT_DEVICE void load_record(bt_view_record *record, const uint8_t *views, int64_t row, int64_t ldv) {
    const uint8_t *from = views + row * ldv;
    uint8_t *to = reinterpret_cast<uint8_t *>(record);
    for (int i = (int)threadIdx.x; i < (int)sizeof(bt_view_record); i += (int)blockDim.x) to[i] = from[i];
    __syncthreads();
}

__global__ void __launch_bounds__(RECORD_THREADS)
    check_records(const uint8_t *views, int64_t ldv, int count, int64_t bytes, int64_t size, bt_step *step) {
    int first = INT32_MAX; /* of this thread */
    for (int row = (int)threadIdx.x; row < count; row += RECORD_THREADS) {
        bt_view_record record;
        uint8_t *to = reinterpret_cast<uint8_t *>(&record);
        for (int i = 0; i < (int)sizeof record; i++) to[i] = views[row * ldv + i];
        if (first == INT32_MAX && !bt_record_valid(&record, bytes, size)) first = row;
    }
    first = -bt_block_max(-first);
    if (threadIdx.x == 0 && first != INT32_MAX) bt_report_fault(step, BT_OP_make_views, first);
}

/** What one column or line of a tile reads, and the sum of its filter. */
struct tile_axis {
    bt_axis_taps taps;
    double sum;
};

BT_DEVICE tile_axis axis_of(bt_filter filter, int64_t in, int64_t full, int64_t i) {
    tile_axis a;
    a.taps = bt_axis_taps_of(filter, in, full, i);
    a.sum = 0.0;
    for (int64_t k = 0; k < a.taps.taps; k++) a.sum = bt_plus(a.sum, bt_axis_height(filter, &a.taps, k));
    return a;
}

BT_DEVICE int weight_of(bt_filter filter, const tile_axis &a, const int *cached, int64_t k) {
    return k < CACHED ? cached[k] : bt_axis_weight(bt_axis_height(filter, &a.taps, k), a.sum);
}

/** Grid (tiles of a row, tiles of a column, views). */
__global__ void __launch_bounds__(TILE_THREADS)
    view_geometry(uint8_t *y, const uint8_t *pixels, const uint8_t *views, int64_t ldv, int64_t bytes, int size) {
    BT_SHARED(bt_view_record, record, [1]);
    BT_SHARED(tile_axis, axis, [AXES]);
    BT_SHARED(int, weight, [AXES * CACHED]);
    BT_SHARED(uint8_t, strip, [TILE_HEIGHT * TILE_WIDTH * 3]); /* rows of the picture, resampled along the row */
    load_record(record, views, blockIdx.z, ldv);
    const bt_view &view = record->view;
    const int thread = (int)threadIdx.x, tx = thread % TILE_WIDTH, ty = thread / TILE_WIDTH;
    const int left = (int)blockIdx.x * TILE_WIDTH, top = (int)blockIdx.y * TILE_HEIGHT;
    const int x = left + tx, row = top + ty;
    const bool valid = bt_record_valid(record, bytes, size);
    uint8_t *out = y + (((int64_t)blockIdx.z * size + row) * size + (valid && view.flip ? size - 1 - x : x)) * 3;
    if (!valid) { /* the whole block */
        if (x < size && row < size)
            for (int c = 0; c < 3; c++) out[c] = 0;
        return;
    }
    if (thread < AXES) { /* columns and lines behind the last one repeat it */
        const bool column = thread < TILE_WIDTH;
        const int at = column ? left + thread : top + thread - TILE_WIDTH, i = at < size ? at : size - 1;
        axis[thread] = column ? axis_of(view.filter, view.crop.width, view.full_width, view.window.left + i)
                              : axis_of(view.filter, view.crop.height, view.full_height, view.window.top + i);
    }
    __syncthreads();
    for (int i = thread; i < AXES * CACHED; i += TILE_THREADS) {
        const tile_axis &a = axis[i / CACHED];
        const int k = i % CACHED;
        weight[i] = k < a.taps.taps ? bt_axis_weight(bt_axis_height(view.filter, &a.taps, k), a.sum) : 0;
    }
    __syncthreads();
    const tile_axis &column = axis[tx], &line = axis[TILE_WIDTH + ty], &bottom = axis[AXES - 1];
    const int *column_weight = weight + tx * CACHED, *line_weight = weight + (TILE_WIDTH + ty) * CACHED;
    int sum[3] = {1 << (BT_WEIGHT_BITS - 1), 1 << (BT_WEIGHT_BITS - 1), 1 << (BT_WEIGHT_BITS - 1)};
    const int64_t end = bottom.taps.first + bottom.taps.taps;
    for (int64_t begin = axis[TILE_WIDTH].taps.first; begin < end; begin += TILE_HEIGHT) {
        if (begin + ty < end) {
            const uint8_t *p = pixels + record->offset +
                               ((view.crop.top + begin + ty) * record->width + view.crop.left + column.taps.first) * 3;
            int part[3] = {1 << (BT_WEIGHT_BITS - 1), 1 << (BT_WEIGHT_BITS - 1), 1 << (BT_WEIGHT_BITS - 1)};
            for (int64_t k = 0; k < column.taps.taps; k++, p += 3) {
                const int w = weight_of(view.filter, column, column_weight, k);
                for (int c = 0; c < 3; c++) part[c] += w * p[c];
            }
            for (int c = 0; c < 3; c++) strip[thread * 3 + c] = bt_weighted_byte(part[c]);
        }
        __syncthreads();
        for (int r = 0; r < TILE_HEIGHT; r++) {
            const int64_t k = begin + r - line.taps.first;
            if (k < 0 || k >= line.taps.taps) continue;
            const int w = weight_of(view.filter, line, line_weight, k);
            for (int c = 0; c < 3; c++) sum[c] += w * strip[(r * TILE_WIDTH + tx) * 3 + c];
        }
        __syncthreads();
    }
    if (x < size && row < size)
        for (int c = 0; c < 3; c++) out[c] = bt_weighted_byte(sum[c]);
}

/** One pass of the box blur of a view from `in` to `out`, along rows (step 3) or columns (step 3 size). */
BT_DEVICE void box_pass(uint8_t *out, const uint8_t *in, const bt_colour_step &s, int size, bool along_rows) {
    const int64_t count = (int64_t)size * size * 3, step = along_rows ? 3 : (int64_t)size * 3;
    for (int64_t i = threadIdx.x; i < count; i += COLOUR_THREADS) {
        const int at = (int)(along_rows ? i / 3 % size : i / 3 / size), last = size - 1;
        const uint8_t *line = in + i - at * step;
        unsigned inner = 0;
        for (int k = -s.value; k <= s.value; k++) {
            const int from = at + k < 0 ? 0 : at + k > last ? last : at + k;
            inner += line[from * step];
        }
        const int before = at - s.value - 1, behind = at + s.value + 1;
        const unsigned outer =
            (unsigned)line[(before < 0 ? 0 : before) * step] + line[(behind > last ? last : behind) * step];
        out[i] = bt_box_byte(inner, outer, s.whole, s.part);
    }
    __syncthreads();
}

BT_DEVICE int mean_luma(const uint8_t *view, int64_t pixels) {
    double sum = 0.0; /* of integers below 2^53: exact */
    for (int64_t i = threadIdx.x; i < pixels; i += COLOUR_THREADS) {
        const uint8_t *p = view + i * 3;
        sum += bt_luma(p[0], p[1], p[2]);
    }
    return bt_mean_luma((int64_t)bt_block_sum(sum), pixels);
}

BT_DEVICE void colour_pixel(uint8_t *p, const bt_colour_step &s, int middle) {
    if (s.kind == BT_COLOUR_HUE) {
        bt_hue_turn(p, s.value);
        return;
    }
    const int grey = bt_luma(p[0], p[1], p[2]);
    for (int c = 0; c < 3; c++) {
        switch (s.kind) {
        case BT_COLOUR_BRIGHTNESS:
        case BT_COLOUR_CONTRAST:
            p[c] = bt_blend_byte(middle, p[c], s.value);
            break;
        case BT_COLOUR_SATURATION:
            p[c] = bt_blend_byte(grey, p[c], s.value);
            break;
        case BT_COLOUR_GREY:
            p[c] = (uint8_t)grey;
            break;
        default: /* BT_COLOUR_SOLARIZE */
            if (p[c] >= s.value) p[c] = (uint8_t)(255 - p[c]);
        }
    }
}

/** Grid (views). `spare` has the size of y. */
__global__ void __launch_bounds__(COLOUR_THREADS)
    view_colour(uint8_t *y, uint8_t *spare, const uint8_t *views, int64_t ldv, int64_t bytes, int size) {
    BT_SHARED(bt_view_record, record, [1]);
    load_record(record, views, blockIdx.x, ldv);
    if (!bt_record_valid(record, bytes, size)) return;
    const int64_t pixels = (int64_t)size * size;
    uint8_t *view = y + blockIdx.x * pixels * 3, *other = spare + blockIdx.x * pixels * 3;
    for (int i = 0; i < record->colour.count; i++) {
        const bt_colour_step s = record->colour.step[i];
        if (s.kind == BT_COLOUR_BLUR) {
            __syncthreads(); /* the pointwise steps before are done by all */
            for (int pass = 0; pass < 2 * BT_BLUR_PASSES; pass++)
                box_pass(pass % 2 ? view : other, pass % 2 ? other : view, s, size, pass < BT_BLUR_PASSES);
            continue;
        }
        const int middle = s.kind == BT_COLOUR_CONTRAST ? mean_luma(view, pixels) : 0;
        for (int64_t p = threadIdx.x; p < pixels; p += COLOUR_THREADS) colour_pixel(view + p * 3, s, middle);
    }
}

bool contiguous(const bt_tensor &t) {
    return t.ld == bt_shape_cols(t.shape) || bt_shape_rows(t.shape) == 1;
}

bt_status prepare(bt_device *, const bt_make_views_args *a, bt_prepared *out) {
    BT_TRY(bt_cuda_require("make_views", "pixels", a->pixels, BT_U8));
    BT_TRY(bt_cuda_require("make_views", "views", a->views, BT_U8));
    BT_TRY(bt_cuda_require("make_views", "y", a->y, BT_U8));
    BT_ASSERT(bt_shape_cols(a->views.shape) == (int64_t)sizeof(bt_view_record));
    if (!contiguous(a->pixels) || !contiguous(a->y))
        return bt_error(BT_ERR_UNSUPPORTED, "make_views on " BT_CUDA_BACKEND ": pixels and y must be contiguous");
    if (bt_shape_rows(a->views.shape) > 65535)
        return bt_error(BT_ERR_UNSUPPORTED, "make_views on " BT_CUDA_BACKEND ": %lld views, at most 65535 at once",
                        (long long)bt_shape_rows(a->views.shape));
    out->scratch_bytes = (size_t)bt_shape_count(a->y.shape);
    return BT_OK;
}

bt_status run(bt_device *device, const bt_make_views_args *a, const bt_prepared *, void *scratch) {
    const int count = (int)bt_shape_rows(a->views.shape), size = (int)a->y.shape.dim[1];
    const int64_t bytes = bt_shape_count(a->pixels.shape);
    const cudaStream_t stream = bt_cuda_stream(device);
    const uint8_t *pixels = bt_data<uint8_t>(a->pixels), *views = bt_data<uint8_t>(a->views);
    uint8_t *y = bt_data<uint8_t>(a->y);
    const dim3 tiles(bt_blocks(size, TILE_WIDTH), bt_blocks(size, TILE_HEIGHT), (unsigned)count);
    BT_TRY(BT_LAUNCH((check_records), 1, RECORD_THREADS, 0, stream, views, a->views.ld, count, bytes, (int64_t)size,
                     device->step));
    BT_TRY(BT_LAUNCH((view_geometry), tiles, TILE_THREADS, 0, stream, y, pixels, views, a->views.ld, bytes, size));
    return BT_LAUNCH((view_colour), (unsigned)count, COLOUR_THREADS, 0, stream, y, static_cast<uint8_t *>(scratch),
                     views, a->views.ld, bytes, size);
}

} // namespace

BT_CUDA_KERNEL(make_views, prepare, run)
