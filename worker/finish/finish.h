/* finish.h - one clip of a master: its renditions, thumbnail and contact sheet, and what it was found to be.
 *
 * All files are written into a folder of their own (clip.h), under the names that they will have: STEM.mp4 for the first rendition,
 * STEM.NAME.mp4 for the others, STEM.png the thumbnail, STEM.sheet.png. The same master and documents give the same bytes, whatever
 * the number of threads: each rendition is encoded by one, several of them at once, while the next frames are read.
 *
 * What is made of a clip beside its pictures stands in the campaign's and the clip's documents (common/finish_spec.h); each stage
 * reads its own key. A stage adds its files by finish_add_file and what it found by finish_note. */
#ifndef REELWRIGHT_FINISH_H
#define REELWRIGHT_FINISH_H

#include "common/finish_spec.h"
#include "worker/finish/master.h"
#include "worker/finish/progress.h"
#include "worker/proof/prove.h"

typedef struct { /* everything is borrowed */
    const char *clip_id, *stem;
    const ShotSpec *shot;
    const FinishSpec *spec;
    const char *master;      /* file */
    const char *source;      /* SHA-256 of it, for what is kept for the next clip (kept.h); NULL: nothing is kept */
    const char *folder;      /* where the clip's files go; it is there */
    const char *secret_file; /* of the watermark: DIR/watermark.key */
    FinishTook *took;        /* what parts of it take; NULL: nobody asks */
    const char *voices;      /* folder that keeps what engines said, for the next clip; NULL: nothing is kept */
    const char *speech; /* where the sound is that the shot's lips follow (voice_read_at); NULL: they follow none */
    int threads;        /* at least 1 */
} FinishJob;

/* From the lease to the result: seconds, clip, and how it failed. *master_bad: because the master is missing or damaged. */
Status finish_clip(const FinishJob *job, Progress progress, ClipResult *out, bool *master_bad);

/* The same for frames that come from anywhere: begin, put them all in order, end. */
typedef struct Finish Finish;
Status finish_begin(const FinishJob *job, Finish **out);
Status finish_put(Finish *f, const float *frames, int n, int height, int width); /* [n,H,W,3] RGB in [0,1] */
Status finish_end(Finish **f, ClipResult *out);                                  /* frees *f also when it fails */
void finish_abandon(Finish **f);                                                 /* leaves no new file; NULL is fine */

/* ---- for its stages ---- */
/* A file of the clip, STEM.ending in the job's folder: its whole path; free() it. It must be there, whole, at finish_end. */
char *finish_add_file(Finish *f, const char *ending);
/* Into the clip's document under this key; takes the reference. */
void finish_note(Finish *f, const char *key, json_t *value);

#endif
