/* finish.h - from a rendered shot to its clips: decode once, encode each rendition once, thumbnail and contact sheet, and a
 * file for every clip of the lease. Files are published whole (draft, fsync, rename) and deterministic, so doing it again
 * after a worker was lost gives the same files. */
#ifndef REELWRIGHT_FINISH_H
#define REELWRIGHT_FINISH_H

#include "worker/render/render.h"

/* Appends lease->clip_count results to *out (paths relative to the campaign folder: clips/STEM.mp4 for the first
 * rendition, clips/STEM.NAME.mp4 for the others, clips/STEM.png the thumbnail, clips/STEM.sheet.png), and the seconds spent
 * in decoding and in the rest. Idempotent. */
Status finish_clips(Engine *e, const RenderedLatents *r, const Lease *lease, Progress progress, LeaseResult *out);

/* The same for frames that come from anywhere: begin, put them all, end. */
typedef struct Finish Finish;
Status finish_begin(const Lease *lease, Finish **out);
Status finish_put(Finish *f, const float *frames, int n, int height, int width); /* [n,H,W,3] RGB in [0,1] */
Status finish_end(Finish **f, Progress progress, LeaseResult *out);              /* frees *f also when it fails */
void finish_abandon(Finish **f);                                                 /* leaves no new file; NULL is fine */

#endif
