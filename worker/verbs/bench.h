/* bench.h - how fast one stage of the engine is on this machine, at the shapes of the published models, with random weights
 * (no files needed). Measured are whole evaluations as the engine makes them, after one that warms up. */
#ifndef REELWRIGHT_BENCH_H
#define REELWRIGHT_BENCH_H

#include <stdint.h>

#include "common/model_config.h"
#include "kernels/ops.h"

/* STEP: a denoising step with guidance: both evaluations of the transformer, and the solver's update (UniPC) */
typedef enum { BENCH_TRANSFORMER, BENCH_STEP, BENCH_VAE_DECODE, BENCH_VAE_ENCODE, BENCH_TEXT, BENCH_STAGES } BenchStage;
typedef enum {
    BENCH_1_3B,
    BENCH_5B,
    BENCH_14B
} BenchShape; /* Wan2.1 T2V 1.3B, Wan2.2 TI2V 5B, Wan2.1 or 2.2 T2V 14B */

extern const char *const bench_stage_name[], *const bench_shape_name[];

typedef struct {
    BenchStage stage;
    BenchShape shape;
    int layers;        /* of transformer or text encoder; 0 = as many as the model has */
    int64_t latent[3]; /* frames, height, width before patching; not for the text encoder */
    int tokens;        /* of the prompt: encoded, or attended to */
    int repeat;
    BackendOptions backend;
} BenchRequest;

typedef struct {
    int layers;              /* evaluated; 0 where the stage has none */
    double median, min, max; /* seconds of one evaluation */
    double flop; /* of one evaluation by its definition (multiply and add are two), attention included: what a
                                back end saves by fewer products, as Winograd's, counts as done */
} BenchResult;

Status bench_run(const BenchRequest *r, BenchResult *out);

/* What the definitions ask for. */
double bench_flop_transformer(const DitConfig *c, const int64_t latent[3], int64_t prompt_rows);
double bench_flop_text(const TextConfig *c, int64_t tokens);
double bench_flop_vae_decode(const VaeConfig *c, const int64_t latent[3]);
double bench_flop_vae_encode(const VaeConfig *c, const int64_t latent[3]);

#endif
