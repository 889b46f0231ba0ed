/* cases.h - the table of ops and shapes that every back end is checked and timed with. */
#ifndef REELWRIGHT_TESTS_OPS_CASES_H
#define REELWRIGHT_TESTS_OPS_CASES_H

#include "kernels/ops.h"

typedef struct Case Case;
struct Case {
    const char *op;
    Tensor (*run)(Backend *be, const int64_t *p); /* draws its inputs; the result is in the arena */
    double fp32, bf16; /* allowed root mean square of the difference to ref over ref's root mean square */
    int64_t p[10];
};

/* The same allowance for products where BackendOptions.quantized says so. fp8: e4m3 rounds by at most 1/16, by 2.6e-2 in the mean, and
 * both factors are rounded. Measured at most 3.9e-2. */
#define CASE_FP8 5e-2
/* int8: a row's largest number is 127 steps, so that a step is 1/36 of its root mean square and rounding costs 0.8e-2 of it, in both
 * factors. Measured at most 1.3e-2. */
#define CASE_INT8 1.6e-2
/* ... and for attention where BackendOptions.scores says int8. */
#define CASE_INT8_SCORES 1.6e-2

extern const Case cases[];
extern const int case_count;

/* Sharing: the inputs of the next case begin here. Time spent in drawing is not the op's. */
void case_begin(void);
double case_op_seconds(void); /* in ops since case_begin */

/* ---- compare.c ---- */

/* The case's result as fp32 in new memory, and its shape; NULL after a failure, which stays in the back end. */
float *case_result(const Case *c, Backend *be, Tensor *shape);
/* How far the back end's result is from ref's, as `fp32` and `bf16` have it; numbers that are none are very far. A failure of either
 * is returned, and forgotten there. */
Status case_compare(const Case *c, Backend *ref, Backend *be, double *off);
double case_allowed(const Case *c, Backend *be);
/* The cases whose op begins with `op`, against a ref of its own -> how many are too far or failed, each with a line on stderr. With
 * OPS_VERBOSE in the environment every case has one. */
int case_compare_all(Backend *be, const char *name, const char *op);

#endif
