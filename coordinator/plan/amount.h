/* amount.h - numbers as people read them. */
#ifndef REELWRIGHT_AMOUNT_H
#define REELWRIGHT_AMOUNT_H

#include <stdio.h>

typedef struct {
    char text[32];
} Amount;

/* "512 bytes", "1.2 GB", "340 MB" */
static inline Amount amount_bytes(double bytes)
{
    static const char *const unit[] = {"bytes", "kB", "MB", "GB", "TB"};
    int i = 0;
    Amount a;
    for (; bytes >= 1000 && i < 4; i++) bytes /= 1000;
    snprintf(a.text, sizeof a.text, "%.*f %s", i && bytes < 10 ? 1 : 0, bytes, unit[i]);
    return a;
}

/* In whatever currency the cost of a node was given: "1234.50", and of a small sum three digits that say something, "0.0183". */
static inline Amount amount_cost(double cost)
{
    Amount a;
    if (cost < 1e-4) /* "%g" writes a power of ten */
        snprintf(a.text, sizeof a.text, "%s", cost > 0 ? "less than 0.0001" : "0");
    else
        snprintf(a.text, sizeof a.text, cost < 10 ? "%.3g" : "%.2f", cost);
    return a;
}

#endif
