/* bench.h - how fast one stage of the engine is on this machine, at the shapes of the published models, with random weights
 * (no files needed). Measured are whole evaluations as the engine makes them, after one that warms up. */
#ifndef REELWRIGHT_BENCH_H
#define REELWRIGHT_BENCH_H

#include <stdint.h>

#include "common/model_config.h"
#include "kernels/coll.h"

/* STEP: a denoising step with guidance: both evaluations of the transformer, and the solver's update (UniPC).
 * RENDER: prompt and negative prompt encoded, all steps, the clip decoded; nothing is kept from one to the next.
 * SUM: what ranks that share a render exchange: a sum over all of 16 MiB of fp32 on each */
typedef enum {
    BENCH_TRANSFORMER,
    BENCH_STEP,
    BENCH_VAE_DECODE,
    BENCH_VAE_ENCODE,
    BENCH_TEXT,
    BENCH_RENDER,
    BENCH_SUM,
    BENCH_STAGES
} BenchStage;
typedef enum {
    BENCH_1_3B,
    BENCH_5B,
    BENCH_14B,
    BENCH_MLPERF
} BenchShape; /* Wan2.1 T2V 1.3B, Wan2.2 TI2V 5B, Wan2.1 or 2.2 T2V 14B; MLPerf's text to video: 14B's transformer, twice */

enum { BENCH_SUM_BYTES = 16 << 20, BENCH_PERCENTILES = 101 };

extern const char *const bench_stage_name[], *const bench_shape_name[];

typedef struct {
    BenchStage stage;
    BenchShape shape;
    int layers;        /* of transformer or text encoder; 0 = as many as the model has */
    int64_t latent[3]; /* frames, height, width before patching; not for the text encoder */
    int tokens;        /* of the prompt: encoded, or attended to */
    int steps;         /* of a render */
    int repeat;
    double least_s; /* measured until so much time is over, beyond repeat */
    BackendOptions backend;
    Coll *ranks; /* that measure at the same time; the sum is over them */
} BenchRequest;

typedef struct {
    int layers;              /* evaluated; 0 where the stage has none */
    double median, min, max; /* seconds of one evaluation */
    double p90, p99;
    double percentile[BENCH_PERCENTILES]; /* 0 to 100: of the measured evaluations */
    double text_s, denoise_s, decode_s;   /* of a render: means, the one that warms up included */
    double processor_s;                   /* of one evaluation, all threads together: the mean */
    int count;                            /* evaluations that were measured */
    double all_s;                         /* from the beginning of the first to the end of the last */
    double flop; /* of one evaluation by its definition (multiply and add are two), attention included: what a
                                back end saves by fewer products, as Winograd's, counts as done */
} BenchResult;

/* Seconds of processor time of this process and of those that it has waited for: a clip's voice is one of them. */
double bench_processor_s(void);
Status bench_run(const BenchRequest *r, BenchResult *out);

/* The published model that is asked for, with as many layers as are asked for. */
DitConfig bench_dit(const BenchRequest *r);
VaeConfig bench_vae(const BenchRequest *r);
Status bench_read_latent(const char *text, int64_t latent[3]); /* "FxHxW", as --latent is given */

/* What the definitions ask for. */
double bench_flop_transformer(const DitConfig *c, const int64_t latent[3], int64_t prompt_rows);
double bench_flop_text(const TextConfig *c, int64_t tokens);
double bench_flop_vae_decode(const VaeConfig *c, const int64_t latent[3]);
double bench_flop_vae_encode(const VaeConfig *c, const int64_t latent[3]);

#endif
