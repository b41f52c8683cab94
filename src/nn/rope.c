/* The angles of rotary positions. */
#include "nn/rope.h"

#include <math.h>

bt_status bt_rope_table(float *table, int64_t rows, int64_t columns, int64_t head, double theta) {
    if (head < 4 || head % 4)
        return bt_error(BT_ERR_CONFIG, "rotary positions need heads of a multiple of 4 elements, found %lld",
                        (long long)head);
    if (!(theta > 0) || !isfinite(theta) || rows < 1 || columns < 1)
        return bt_error(BT_ERR_CONFIG, "rotary positions: theta %g on a grid of %lld x %lld; all must be positive",
                        theta, (long long)rows, (long long)columns);
    const double turn = 2 * 3.14159265358979323846;
    int64_t quarter = head / 4;
    for (int64_t patch = 0; patch < rows * columns; patch++, table += head)
        for (int64_t k = 0; k < 2 * quarter; k++) {
            int64_t place = k < quarter ? patch / columns : patch % columns, side = k < quarter ? rows : columns;
            double centre = 2 * ((double)place + 0.5) / (double)side - 1;
            double angle = turn * centre * pow(theta, -4.0 * (double)(k % quarter) / (double)head);
            table[k] = (float)cos(angle);
            table[2 * quarter + k] = (float)sin(angle);
        }
    return BT_OK;
}
