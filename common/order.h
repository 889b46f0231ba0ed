/* order.h - numbers in ascending order, for qsort(), and the largest of many. NaN has no place in either. */
#ifndef REELWRIGHT_ORDER_H
#define REELWRIGHT_ORDER_H

#include <stdint.h>

static inline int order_floats(const void *a, const void *b)
{
    const float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static inline int order_doubles(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static inline int order_int64s(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* most: the n largest so far, the largest first. */
static inline void order_keep(float *most, int n, float x)
{
    for (int k = 0; k < n; k++)
        if (x > most[k]) {
            const float old = most[k];
            most[k] = x;
            x = old;
        }
}

#endif
