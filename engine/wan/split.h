/* split.h - how the ranks of a group divide a shot: three numbers, whose product is the size of the group.
 *
 *   guidance  1, or 2: each half of the group evaluates one branch of the guidance; once a step they exchange velocities
 *   sequence  each rank has a part of the tokens and the whole of its tensor share of the weights; around self-attention
 *             ranks exchange tokens for heads (DeepSpeed-Ulysses, arXiv:2309.14509), or, where they do not divide the heads,
 *             each takes all keys and values
 *   tensor    each rank has a part of the heads and of the feed-forward columns, of every layer (Megatron-LM,
 *             arXiv:1909.08053): projections in are divided by outputs, projections out by inputs and summed, three sums a
 *             layer; q/k norm spans all heads, so one number per token crosses the ranks too
 *
 * Rank r of the group is tensor rank r % tensor, sequence rank r / tensor % sequence, in half r / (tensor * sequence).
 *
 * Bytes that a rank sends for one evaluation and layer, N tokens of width D, b bytes a number (fp32 sums):
 *   tensor     3 * 2 (t-1)/t * N/s * D * 4
 *   sequence   4 (s-1)/s * N/s * D/t * b          heads exchanged: q, k, v and the result
 *              2 (s-1)   * N/s * D/t * b          keys and values for all
 * so sequence ranks cost a fraction of what tensor ranks do, and guidance halves next to nothing; but only tensor ranks
 * divide the weights. Hence the choice: of the splits whose weights fit into a rank's memory, the one with the least traffic;
 * when none does, the one with the fewest weights.
 *
 * What is not divided. The text encoder, the image encoder and the audio encoder are divided by tensor among as many ranks as their heads allow,
 * whatever the transformer's split is. The autoencoder runs on the group's first rank (engine/MODEL.md says why). Every rank
 * holds norms, tables, the patch embedding, the output projection, latents and the solver's state. */
#ifndef REELWRIGHT_SPLIT_H
#define REELWRIGHT_SPLIT_H

#include "common/model_config.h"
#include "common/status.h"
#include "kernels/coll.h"

typedef struct {
    int guidance, sequence, tensor;
} Split;

typedef struct { /* what a choice is made from */
    const ModelConfig *config;
    int ranks;
    int64_t tokens;       /* of one evaluation */
    bool guided;          /* a step has two evaluations */
    int elem_bytes;       /* of a weight: backend_elem_bytes */
    int64_t memory_bytes; /* of a rank, for weights */
} SplitCase;

/* ERR_INPUT: no split of so many ranks is possible for this model and shot. */
Status split_choose(const SplitCase *c, Split *out);
/* ERR_INPUT with what was expected when this one is not. */
Status split_check(const SplitCase *c, const Split *s);
/* "GxSxT", such as 2x1x4 -> numbers. ERR_INPUT names the text. */
Status split_parse(const char *text, Split *out);

int64_t split_traffic_bytes(const SplitCase *c, const Split *s); /* that a rank sends in a step */
int64_t split_weight_bytes(const SplitCase *c, const Split *s);  /* of a rank's transformers */
Split split_most_tensor(const ModelConfig *c, int ranks); /* the fewest weights: 1xSxT with the largest T that can be */
int split_encoder_ranks(int heads, int ranks);            /* the largest divisor of `ranks` that is at most `heads` */

/* The groups that this rank belongs to. Parts of `group`, closed by split_close; `group` itself is borrowed. */
typedef struct {
    Coll *tensor, *sequence;
    Coll *text, *vision, *speech; /* tensor groups of the encoders; NULL where the model has no such */
    int half;                     /* which branch of the guidance is this rank's, when there are two halves */
} SplitRanks;
Status split_open(const ModelConfig *c, const Split *s, Coll *group, SplitRanks *out);
void split_close(SplitRanks *r, Coll *group);

#endif
