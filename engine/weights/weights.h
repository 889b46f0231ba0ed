/* weights.h - the weight table is the architecture.
 *
 * A model states its weights as rows of {name, field, kind, split, shape}; a group is the rows of one struct (one block)
 * under one name prefix with its own sizes. One loop checks names, shapes and types against a source, one binds and packs,
 * one frees. Shapes are symbolic: an index into the group's sizes, or a number (NUMBER(6)).
 *
 * A source is a folder of safetensors, or random numbers of the right shape (benchmarks need no files). */
#ifndef REELWRIGHT_WEIGHTS_H
#define REELWRIGHT_WEIGHTS_H

#include "common/status.h"
#include "engine/weights/adapter.h"
#include "engine/weights/stored.h"
#include "kernels/ops.h"

typedef enum {
    WEIGHT_LINEAR,       /* NAME.weight [N,K...] and NAME.bias [N] -> Linear; further dimensions count as K */
    WEIGHT_LINEAR_EXACT, /* WEIGHT_LINEAR that stays fp32 (Linear.exact) */
    WEIGHT_LINEAR_PLAIN, /* NAME.weight alone -> Linear */
    WEIGHT_CONV,         /* NAME.weight, NAME.bias -> Conv, stride 1, zero padding that keeps height and width */
    WEIGHT_CONV_HALVE,   /* the same with spatial stride 2 and padding below and to the right */
    WEIGHT_CONV_PAIRS,   /* the same with stride 2 in time */
    WEIGHT_CONV_LINE, /* NAME.weight [N,K,k], NAME.bias -> Conv over the height of [1,T,1,K], WeightGroup.stride, no padding */
    WEIGHT_VECTOR, /* NAME -> Tensor, fp32 on the device, without the dimensions that are 1 */
    WEIGHT_TABLE   /* NAME -> HostTable: left in the file, as long as the source is open */
} WeightKind;

typedef struct WeightSource WeightSource;

typedef struct { /* a large table of which few rows are used: 4.2 GB less than a packed copy for UMT5-XXL */
    Tensor rows; /* [V,D] of a plain type, in host memory */
    void *owned; /* NULL = in the source's file */
    StoredTensor
        stored; /* ... or numbers of 8 bits and less, in the source's file, and what they are to be multiplied by */
    float scale;
} HostTable;
/* One row as fp32; to has room for D. */
void weights_table_row(const HostTable *t, int64_t row, float *to);

/* Which dimension of the weight a group of ranks divides among its members (Megatron style: outputs of the first product of
 * a pair, inputs of the second, where the sum over ranks happens; rank 0 alone has the second's bias). */
typedef enum { SPLIT_NONE, SPLIT_OUT, SPLIT_IN, SPLIT_OUT_HEADS, SPLIT_IN_HEADS /* between heads only */ } WeightSplit;

enum { WEIGHT_SIZES = 16, NUMBER_FIRST = 1000 };
#define NUMBER(n) (NUMBER_FIRST + (n))

typedef struct {
    const char *name; /* "a|b": either name; below the group's prefix */
    size_t field;     /* offsetof in the group's struct */
    WeightKind kind;
    WeightSplit split;
    int ndim;
    short dim[TENSOR_MAX_DIM]; /* index into WeightGroup.size, or NUMBER(n) */
} WeightRow;

typedef struct {
    char prefix[80];
    const WeightRow *row;
    int rows;
    void *base; /* the struct that `field` is an offset into */
    int64_t size[WEIGHT_SIZES];
    int64_t heads; /* in a dimension that is divided between heads */
    int stride;    /* of its WEIGHT_CONV_LINEs; 0 = 1 */
    bool quantize; /* its products may be: Linear.quantize */
} WeightGroup;

typedef struct { /* everything of one component */
    WeightGroup *group;
    int count, room;
    const char *const
        *ignored; /* parts of tensor names that the component knows and does not use, "^" before one that a name begins
                                   with; NULL-terminated */
    int rank, ranks; /* what is bound is the share of this rank; ranks = 0: everything */
} WeightPlan;

WeightGroup *weights_add_group(WeightPlan *p, void *base, const WeightRow *row, int rows, const char *prefix_fmt, ...)
    __attribute__((format(printf, 5, 6)));
/* The share of a dimension of `size` numbers in `units` whole pieces (0: sixteens, or numbers). */
typedef struct {
    int64_t first, count;
} WeightShare;
WeightShare weights_share(int64_t size, int64_t units, int rank, int ranks);
/* The number of parameters, and of bytes that one of `ranks` ranks holds at most when a number of a matrix that is quantised takes
 * elem_bytes (backend_elem_bytes), of another backend_plain_bytes, and of one that this source has in 8 bits one (NULL: none has); vectors
 * are fp32, a table stays in its file. */
void weights_measure(const WeightPlan *p, const WeightSource *narrow, int ranks, int elem_bytes, int64_t *parameters,
                     int64_t *bytes);
/* Every tensor by its name in the file (the first of several possible ones) and its shape there. */
void weights_list(const WeightPlan *p, void (*put)(void *self, const char *name, int ndim, const int64_t *dim),
                  void *self);
void weights_plan_clear(WeightPlan *p);

/* Bytes that a file carries beside its weights, of a tensor of that name behind any prefix, *bytes of them; NULL: none. Borrowed from the source. */
const void *weights_extra(const WeightSource *s, const char *name, size_t *bytes);
/* Headers only. ERR_INPUT when FOLDER/STEM is missing or damaged. */
Status weights_open(const char *folder, const char *stem, WeightSource **out);
Status weights_open_file(const char *path, WeightSource **out); /* the same of one file */
WeightSource *weights_random(void); /* every tensor exists, with values of a size that keeps activations finite */
/* Merges these (borrowed, may be NULL) into what is loaded from now on. weights_check then looks at them as well. */
void weights_adapt(WeightSource *s, Adapters *a);
bool weights_has(const WeightSource *s, const char *name);
int64_t
weights_bytes_read(const WeightSource *s); /* of the file's tensors, since it was opened; a table's rows do not count */
void weights_close(WeightSource **s);

/* Every tensor of the plan is there with its shape and a type that can be read, and no other is: nothing is read. */
Status weights_check(const WeightPlan *p, WeightSource *s);
/* Binds and packs everything. On failure what was packed is freed again. A back end that plans needs no source (NULL); of one it asks
 * which weights stay in 8 bits. */
Status weights_load(const WeightPlan *p, WeightSource *s, Backend *be);
/* Loads again those tensors of a loaded plan that the two sets of adapters change differently (NULL: none), merged as the source says. The
 * rest stays as it is and is not read. On failure everything is freed. */
Status weights_reload(const WeightPlan *p, WeightSource *s, Backend *be, const Adapters *before, const Adapters *now);
void weights_free(const WeightPlan *p, Backend *be);

#endif
