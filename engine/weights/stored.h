/* stored.h - one tensor as a weight file holds it, and the numbers it stands for.
 *
 * Besides plain fp32, bf16 and fp16 there are numbers of 8 bits and blocks of few bits with scales of their own (GGUF). All of them
 * become fp32 on the host before they are used. */
#ifndef REELWRIGHT_STORED_H
#define REELWRIGHT_STORED_H

#include <stdbool.h>
#include <stddef.h>

#include "common/status.h"
#include "kernels/tensor.h"

typedef enum {
    STORED_F32,
    STORED_BF16,
    STORED_F16,
    STORED_F8,      /* e4m3: 4 bits of exponent, 3 of mantissa (kernels/convert.h) */
    STORED_F8_E5M2, /* the upper half of an fp16 number */
    STORED_F64,
    STORED_I64,
    /* blocks of 32 numbers: a scale in fp16 (and in _1 a minimum), then the numbers in 4, 5 or 8 bits */
    STORED_Q4_0,
    STORED_Q4_1,
    STORED_Q5_0,
    STORED_Q5_1,
    STORED_Q8_0,
    /* super-blocks of 256 numbers: eight or sixteen small scales, themselves quantised */
    STORED_Q2_K,
    STORED_Q3_K,
    STORED_Q4_K,
    STORED_Q5_K,
    STORED_Q6_K,
    STORED_OTHER
} StoredType;

typedef struct {
    const char *name;
    StoredType type;
    const char *type_name; /* as the file says it */
    int ndim;
    int64_t dim[TENSOR_MAX_DIM + 3];
    const void *data; /* unaligned, in the map */
    size_t bytes;
    const char *file; /* for messages */
} StoredTensor;

int64_t stored_count(const StoredTensor *t); /* numbers */
/* The first of its numbers that is infinite or none, -1: there is no such; of the types that safetensors has. */
int64_t stored_find_infinite(const StoredTensor *t);

enum { STORED_SHAPE_TEXT = 160 };
void stored_shape_text(int ndim, const int64_t *dim, char text[STORED_SHAPE_TEXT]); /* "[8,64]" */
bool stored_is_number(StoredType type);                                             /* fp32 can stand for it */
/* The numbers of a block and its bytes: 1 and its size for a plain type. */
void stored_block(StoredType type, int64_t *numbers, size_t *bytes);
/* All numbers, as fp32, times `factor`; to has room for stored_count. Only where stored_is_number. */
void stored_to_float(const StoredTensor *t, float factor, float *to);

#endif
