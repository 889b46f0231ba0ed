/* weights_parts.h - between the files behind weights.h:
 *
 *     weights_plan.c    what a model's rows say: names, shapes, shares of ranks, sizes
 *     weights_source.c  a folder's files: which stored tensor a row means, and whether it has the row's shape and type
 *     weights_stage.c   one tensor on its way from there: widened, merged with adapters, cut to this rank's share
 *     weights.c         all rows: packed into the back end, loaded again, freed, checked */
#ifndef REELWRIGHT_WEIGHTS_PARTS_H
#define REELWRIGHT_WEIGHTS_PARTS_H

#include "engine/weights/safetensors.h"
#include "engine/weights/weights.h"

/* ---- rows: weights_plan.c ---- */

Tensor weights_row_shape(const WeightGroup *g, const WeightRow *r); /* as the file has it */
Tensor weights_bias_shape(Tensor weight);
bool weights_row_has_bias(const WeightRow *r);
bool weights_row_is_linear(const WeightRow *r);
const char *weights_row_end(const WeightRow *r); /* ".weight" or "" */
/* Which dimension of the row's tensor is divided, -1: none; and a rank's share of it. */
int weights_split_axis(const WeightRow *r);
WeightShare weights_row_share(const WeightGroup *g, const WeightRow *r, int rank, int ranks);
/* The tensor as the model's own code calls it, the first of several possible names: adapters know that one. */
void weights_full_name(const WeightGroup *g, const WeightRow *r, const char *end, char *name, size_t room);

/* ---- files: weights_source.c ---- */

struct WeightSource {
    Safetensors *file; /* NULL = random */
    bool *claimed;     /* per tensor of file */
    uint64_t state;    /* of the random numbers */
    int64_t bytes_read;
    Adapters *adapters; /* borrowed, or NULL */
    float *wide; /* where one weight after the other is widened: fresh memory for each costs more than the numbers */
    int64_t wide_room;
};

/* ERR_INPUT: the tensor is missing, or has another shape or a type that cannot be read. Marks it as claimed. */
Status weights_find_checked(WeightSource *s, const WeightGroup *g, const WeightRow *r, const char *end, Tensor want,
                            const StoredTensor **out);
/* The name without what repackagers put before those of one part. */
const char *weights_bare_name(const char *name);
/* After all rows were found: the prefixes that theirs have, a bit for each; 0: none has one. */
unsigned weights_claimed_prefixes(const WeightSource *s);
/* The file has several parts, each with a prefix of its own, and the name has that of another one. */
bool weights_is_another_part(unsigned claimed, const char *name);
/* The row's weight may be handed on as the file has it, in E4M3: it is a product's, and no adapter changes it. */
bool weights_stays_e4m3(const WeightSource *s, const WeightGroup *g, const WeightRow *r);
/* What the file says a tensor of 8 bits is to be multiplied by, else 1. */
float weights_scale_of(const WeightSource *s, const StoredTensor *t);
/* ERR_INPUT: it is called like such a scale and is not one number above 0. Any other tensor passes. */
Status weights_check_scale(const StoredTensor *t);

/* ---- one tensor: weights_stage.c ---- */

/* A tensor on its way from the source into the back end. */
typedef struct {
    Tensor tensor;
    const StoredTensor *stored;
    void *copy; /* when the file's bytes cannot be used in place; or random numbers */
    int axis;   /* that is divided, -1: none */
    WeightShare share;
    bool narrow; /* numbers of 8 bits may stay so: the back end multiplies them by `scale` */
    float scale;
} StagedTensor;

/* `want` is the whole tensor's shape; share.count = 0: all of it. */
Status weights_stage(WeightSource *s, const WeightGroup *g, const WeightRow *r, const char *end, Tensor want,
                     StagedTensor *staged);
void weights_unstage(WeightSource *s, StagedTensor *staged);

#endif
