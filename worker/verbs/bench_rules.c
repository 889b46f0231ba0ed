#include "bench_rules.h"

#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "common/plural.h"

/* Wan2.2 T2V A14B, 720x1280, 81 frames, 20 steps, guidance 4 and 3, 248 samples, at least ten minutes, VBench at least 69.7752. */
enum { SAMPLES = 248, LEAST_S = 600, STEPS = 20, LAYERS = 40 };
static const int64_t whole[3] = {21, 90, 160}, part[3] = {1, 18, 32}; /* latents: frames, height, width */

void bench_rules_complete(BenchRequest *r)
{
    const bool all = r->backend.kind == BACKEND_CUDA;
    if (!r->steps) r->steps = r->shape == BENCH_MLPERF && !all ? 2 : STEPS;
    if (r->shape != BENCH_MLPERF) return;
    if (!r->layers && !all) r->layers = 1;
    if (!r->latent[0]) memcpy(r->latent, all ? whole : part, sizeof r->latent);
}

static void rule(json_t *broken, bool kept, char *text)
{
    if (!kept) json_array_append_new(broken, json_string(text));
    free(text);
}

json_t *bench_rules_broken(const BenchRequest *r, const BenchResult *b)
{
    json_t *broken = json_array();
    rule(broken, false,
         text_copy("weights are random: how good the clips are (VBench, at least 69.7752) is not measured"));
    rule(broken, b->count >= SAMPLES,
         text_format("%d sample%s, expected at least %d", b->count, plural_s(b->count), SAMPLES));
    rule(broken, b->all_s >= LEAST_S, text_format("measured for %.0f s, expected at least %d s", b->all_s, LEAST_S));
    if (r->shape != BENCH_MLPERF) return broken;
    rule(broken, b->layers == LAYERS,
         text_format("%d layer%s of each network, expected all %d", b->layers, plural_s(b->layers), LAYERS));
    rule(broken, r->steps == STEPS, text_format("%d step%s, expected %d", r->steps, plural_s(r->steps), STEPS));
    rule(broken, memcmp(r->latent, whole, sizeof whole) == 0,
         text_format("latents of %dx%dx%d, expected 21x90x160: 81 frames of 720x1280", (int)r->latent[0],
                     (int)r->latent[1], (int)r->latent[2]));
    rule(broken, b->layers != LAYERS,
         text_copy("one transformer stands for both: the same products, half of the memory for weights"));
    return broken;
}
