/* work.h - how the farm starts a worker's half of a job: coordinator/launch/run.c knows only this, main.c puts the halves together. */
#ifndef REELWRIGHT_WORK_H
#define REELWRIGHT_WORK_H

#include <stdbool.h>
#include <stddef.h>

#include "common/hash.h"
#include "common/link.h"
#include "common/shot.h"

typedef struct {
    int threads;       /* 0 = as many as the process may run on */
    int backend;       /* index into WORK_BACKENDS */
    int dtype;         /* index into WORK_DTYPES */
    int vae_dtype;     /* of autoencoder and image encoder: index into "fp32|bf16" */
    int takes;         /* a bit for each LeaseKind that it is here for (clip.h) */
    const char *split; /* how the ranks of a group share a shot, "GxSxT", or NULL: chosen */
} WorkSettings;

#define WORK_BACKENDS "cpu|cuda|ref"
enum { WORK_CPU, WORK_CUDA, WORK_REF }; /* WorkSettings.backend */
/* WorkSettings.dtype. fp8 and int8: bf16 but for the products of the transformer's blocks, which take numbers of 8 bits with a scale a
 * row: e4m3 on cuda, int8 on cpu. int8 on cuda: bf16 but for the scores of self-attention. */
#define WORK_DTYPES "fp32|bf16|fp8|int8"
enum { WORK_FP32, WORK_BF16, WORK_FP8, WORK_INT8 };
/* What computes when no --dtype says: bf16 on GPUs, whose matrix units and memory are made for it; fp32 elsewhere. */
static inline int work_default_dtype(int backend) { return backend == WORK_CUDA ? WORK_BF16 : WORK_FP32; }

static inline Status work_check_dtype(int backend, int dtype)
{
    if (dtype == WORK_FP8 && backend != WORK_CUDA)
        return status_fail(ERR_INPUT, "--dtype fp8: only GPUs compute in it: add --backend cuda, or take int8 or bf16");
    if (dtype == WORK_INT8 && backend == WORK_REF)
        return status_fail(ERR_INPUT,
                           "--dtype int8: ref does not compute in it: add --backend cpu or cuda, or take fp32");
    return status_ok();
}

/* Works until told to stop. OK: no more work. ERR_STOP: stopped, everything checkpointed and reported. ERR_FATAL: the
 * coordinator is gone. */
typedef Status WorkerMain(Link *link, const WorkSettings *settings);

/* Starts this program on `ranks` ranks of this machine with these arguments (NULL at the end) and waits for them. The ranks'
 * stdout is this process's; what the first one fails with is returned. */
typedef Status LaunchRanks(int ranks, char *const *arguments);

/* Says which clip a file is; options as JSON: worker/verbs/verb_verify.c. */
typedef Status VerifyFile(const char *path, const char *options_json, bool as_json);

typedef struct {                           /* borrowed */
    const char *name, *by;                 /* whose likeness it is; who judges, or NULL */
    const char *sentence[2];               /* English, German; without the code, which is to be heard */
    const unsigned char *recording, *face; /* any video or sound; a PNG, or NULL */
    size_t recording_bytes, face_bytes;
} JudgeCase;
typedef struct {
    /* OK: verified. Else why not; *over: nothing can be judged any more. */
    Status (*decide)(void *self, const char *by, const char *heard, bool good, bool *over);
    void *self;
} JudgeSink;
/* Has a person judge a recording on a page of this machine, from memory: coordinator/watch/serve_judge.c. Returns what `decide` said last. */
typedef Status JudgePage(const JudgeCase *what, JudgeSink sink, int port);

/* Measures video files against the bounds of a set of gates (JSON, coordinator/campaign/gate_set.h) and prints what it finds. */
typedef Status GateFiles(char *const *file, int count, const char *set_json, bool as_json);

typedef struct {
    const char *model_folder, *model_hash;
    const char *output;          /* JSON: coordinator/campaign/cache.c reads it */
    double bound;                /* relative difference of the latents, on average */
    int backend, dtype, threads; /* as in WorkSettings */
} CalibrateOptions;
/* Measures which denoising steps may reuse what the step before computed: worker/verbs/calibrate.c. The shots differ in texts, seeds and
 * pictures only. */
typedef Status Calibrate(const ShotSpec *shot, int count, const CalibrateOptions *o);

#endif
