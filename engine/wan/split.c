#include "engine/wan/split.h"

#include <stdlib.h>
#include <string.h>

#include "engine/wan/dit.h"

/* ---- what a split costs ------------------------------------------------------------------------------------------------ */

int64_t split_traffic_bytes(const SplitCase *c, const Split *s)
{
    const DitConfig *d = &c->config->dit;
    const int64_t width = (int64_t)d->heads * d->head_dim, own = (c->tokens + s->sequence - 1) / s->sequence;
    const int64_t evaluations = c->guided ? 2 / s->guidance : 1, layers = d->layers + d->vace_count;
    const int64_t sums = 3 * 2 * (s->tensor - 1) * own * width * (int64_t)sizeof(float) / s->tensor;
    const bool by_heads = d->heads / s->tensor % s->sequence == 0;
    const int64_t part = (s->sequence - 1) * own * (width / s->tensor) * backend_plain_bytes(c->elem_bytes);
    const int64_t attention = by_heads ? 4 * part / s->sequence : 2 * part;
    const int64_t velocity = (s->guidance - 1) * c->tokens * d->out_channels * d->patch[1] * d->patch[2] * 4;
    return evaluations * layers * (sums + attention) + velocity;
}

int64_t split_weight_bytes(const SplitCase *c, const Split *s)
{
    Dit *d = dit_new(&c->config->dit);
    int64_t parameters, bytes;
    weights_measure(dit_plan(d), NULL, s->tensor, c->elem_bytes, &parameters, &bytes);
    dit_free(&d);
    return c->config->two_transformers ? 2 * bytes : bytes;
}

/* ---- choosing ------------------------------------------------------------------------------------------------------------ */

Status split_check(const SplitCase *c, const Split *s)
{
    const int heads = c->config->dit.heads;
    if (s->guidance < 1 || s->sequence < 1 || s->tensor < 1 ||
        (int64_t)s->guidance * s->sequence * s->tensor != c->ranks)
        return status_fail(ERR_INPUT, "split %dx%dx%d: expected numbers whose product is the group's %d ranks",
                           s->guidance, s->sequence, s->tensor, c->ranks);
    if (s->guidance > 2)
        return status_fail(ERR_INPUT, "split %dx%dx%d: guidance has two branches", s->guidance, s->sequence, s->tensor);
    if (heads % s->tensor)
        return status_fail(ERR_INPUT, "split %dx%dx%d: %d tensor ranks do not divide the transformer's %d heads",
                           s->guidance, s->sequence, s->tensor, s->tensor, heads);
    if (s->sequence > c->tokens)
        return status_fail(ERR_INPUT, "split %dx%dx%d: the shot has %lld tokens only", s->guidance, s->sequence,
                           s->tensor, (long long)c->tokens);
    return status_ok();
}

static bool is_better(const SplitCase *c, const Split *s, const Split *than)
{
    const int64_t weights = split_weight_bytes(c, s), others = split_weight_bytes(c, than);
    const bool fits = weights + weights / 4 <= c->memory_bytes, other_fits = others + others / 4 <= c->memory_bytes;
    if (fits != other_fits) return fits;
    if (!fits && weights != others) return weights < others;
    return split_traffic_bytes(c, s) < split_traffic_bytes(c, than);
}

Status split_choose(const SplitCase *c, Split *out)
{
    bool found = false;
    for (int tensor = c->ranks; tensor >= 1; tensor--)
        for (int guidance = 1; guidance <= (c->guided ? 2 : 1); guidance++) {
            if (c->ranks % (tensor * guidance)) continue;
            const Split s = {guidance, c->ranks / (tensor * guidance), tensor};
            if (failed(split_check(c, &s)) || (found && !is_better(c, &s, out))) continue;
            *out = s;
            found = true;
        }
    if (found) return status_ok();
    return status_fail(ERR_INPUT, "%d ranks cannot share a shot of %lld tokens of a model with %d heads", c->ranks,
                       (long long)c->tokens, c->config->dit.heads);
}

Status split_parse(const char *text, Split *out)
{
    long n[3] = {0};
    const char *at = text;
    for (int i = 0; i < 3; i++) {
        char *end;
        n[i] = strtol(at, &end, 10);
        const bool ended = i < 2 ? *end == 'x' : *end == 0;
        if (end == at || !ended || n[i] < 1 || n[i] > COLL_MAX_RANKS)
            return status_fail(ERR_INPUT, "split %s: expected GUIDANCExSEQUENCExTENSOR, such as 2x1x4", text);
        at = end + 1;
    }
    *out = (Split){(int)n[0], (int)n[1], (int)n[2]};
    return status_ok();
}

Split split_most_tensor(const ModelConfig *c, int ranks)
{
    int tensor = ranks;
    while (ranks % tensor || c->dit.heads % tensor) tensor--;
    return (Split){1, ranks / tensor, tensor};
}

int split_encoder_ranks(int heads, int ranks)
{
    int n = ranks;
    while (n > 1 && (ranks % n || n > heads)) n--;
    return n;
}

/* ---- ranks ----------------------------------------------------------------------------------------------------------------- */

/* `size` ranks of the group, `stride` apart, this one among them. */
static Status part_of(Coll *group, int size, int stride, Coll **out)
{
    int member[COLL_MAX_RANKS];
    const int place = group->rank / stride % size;
    for (int i = 0; i < size; i++) member[i] = group->rank + (i - place) * stride;
    return coll_part(group, member, size, out);
}

Status split_open(const ModelConfig *c, const Split *s, Coll *group, SplitRanks *out)
{
    *out = (SplitRanks){.half = group->rank / (s->tensor * s->sequence)};
    Status status = part_of(group, s->tensor, 1, &out->tensor);
    if (!failed(status)) status = part_of(group, s->sequence, s->tensor, &out->sequence);
    if (!failed(status)) status = part_of(group, split_encoder_ranks(c->text.heads, group->size), 1, &out->text);
    if (!failed(status) && c->has_image_encoder)
        status = part_of(group, split_encoder_ranks(c->vision.heads, group->size), 1, &out->vision);
    if (!failed(status) && c->dit.sound_count)
        status = part_of(group, split_encoder_ranks(c->speech.heads, group->size), 1, &out->speech);
    if (failed(status)) split_close(out, group);
    return status;
}

void split_close(SplitRanks *r, Coll *group)
{
    Coll **part[] = {&r->tensor, &r->sequence, &r->text, &r->vision, &r->speech};
    for (size_t i = 0; i < sizeof part / sizeof *part; i++) {
        if (*part[i] != group) coll_close(part[i]);
        *part[i] = NULL;
    }
}
