/* checkpoint.h - a shot's latents and solver state on disk: everything a resumed run needs to end bit for bit where an
 * undisturbed one does.
 *
 * One HDF5 file per shot: root attributes say whose it is, /latents [C,F,H,W] fp32, group /solver with the history tensors history.0
 * .. of the same shape, oldest first, and the attributes `count` and `lower_order_nums`; group /more, where a model that speaks has
 * made clips, with "done" and "motion", tensors [C,F,H,W] of shapes of their own. The prompt is personal data and is not in the file.
 * After HDF5's last byte stands a seal, one line of text: format, version, SHA-256 of all before it; it is checked before HDF5 sees
 * the file, so a cut or a flipped bit anywhere is found (against damage, not against forgery).
 *
 * The file is composed in memory and published whole (common/file.h): who reads it finds the old one or the new one. One
 * that is damaged, foreign or another shot's is refused with the reason: what it claims is checked before it is used. */
#ifndef REELWRIGHT_CHECKPOINT_H
#define REELWRIGHT_CHECKPOINT_H

#include <stddef.h>

#include "common/shot.h"
#include "engine/engine.h"

enum { CHECKPOINT_VERSION = 2 };

enum { CHECKPOINT_KIND = 96 };

typedef struct { /* whose latents these are */
    char shot[HASH_TEXT], model[HASH_TEXT], prompt_sha256[HASH_TEXT];
    uint64_t seed;
    int width, height, frames, fps, steps; /* steps: of all clips (engine_steps) */
    double guidance;
    char dtype[8]; /* the back end's compute type, "fp32" or "bf16" */
    char kind
        [CHECKPOINT_KIND]; /* what its last bits depend on besides: "cpu AVX-512 1x1x2", back end, instruction set, split */
} CheckpointOwner;

typedef struct {
    CheckpointOwner owner;
    int64_t dim[4];     /* [C,F,H,W] of latents and solver */
    DenoiseState state; /* state.step of owner.steps done */
} Checkpoint;

/* key and model_hash: 64 digits each */
CheckpointOwner checkpoint_owner(const ShotSpec *s, const char *key, const char *model_hash, const char *dtype,
                                 const char *kind);

/* ERR_NODE: could not be written (disk full, folder missing); what was there before is untouched. */
Status checkpoint_write(const char *path, const Checkpoint *c);

typedef struct { /* which file stands there; all 0: none */
    uint64_t device, inode;
    int64_t changed_ns;
} CheckpointMark;
CheckpointMark checkpoint_mark(const char *path);
/* The same, unless another process has put a checkpoint of this shot there since *mark that is as far or further: a worker that
 * hung and was given up would otherwise set back the one that took over. *mark is then of the file that stands. */
Status checkpoint_write_since(const char *path, const Checkpoint *c, CheckpointMark *mark);

/* Refuses with ERR_INPUT what is no sound checkpoint, and, unless `expected` is NULL, what belongs to another shot, model or
 * compute type. The kind is told, not compared: who goes on decides (render.h). The tensors of *out are owned: checkpoint_clear. */
Status checkpoint_read(const char *path, const CheckpointOwner *expected, Checkpoint *out);
Status checkpoint_parse(const void *bytes, size_t count, Checkpoint *out); /* the same from memory, any owner */
void checkpoint_clear(Checkpoint *c);

#endif
