/* text.h - the UMT5 encoder: token ids -> one embedding per token.
 *
 * Only real tokens are computed: UMT5's keys are masked where the prompt is padded, so padding never reaches a real row,
 * and the pipelines overwrite the padded rows with zeros afterwards. */
#ifndef REELWRIGHT_TEXT_H
#define REELWRIGHT_TEXT_H

#include "common/model_config.h"
#include "engine/weights/weights.h"
#include "kernels/coll.h"
#include "kernels/ops.h"

enum { TEXT_MAX_TOKENS = 512 };

typedef struct TextEncoder TextEncoder;

TextEncoder *text_new(const TextConfig *c); /* no weights yet */
/* Heads and feed-forward columns are divided among the ranks of `tensor` (borrowed), of which there are no more than heads: before
 * text_load. Every rank of it then encodes together, and has the whole result. */
void text_divide(TextEncoder *e, Coll *tensor);
const WeightPlan *text_plan(const TextEncoder *e);
Status text_load(TextEncoder *e, WeightSource *s, Backend *be); /* s stays open as long as the encoder is used */
void text_unload(TextEncoder *e);                               /* frees the weights; text_load brings them back */
void text_free(TextEncoder **e);

/* ids[n] -> [n, d_model] in the arena. Failures stay in the back end, but for ERR_INPUT: an id outside the table. */
Status text_encode(TextEncoder *e, const int64_t *ids, int n, Tensor *out);

#endif
