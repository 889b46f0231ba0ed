/* finish.h - from a rendered shot to its clips: decode once, encode each rendition once, thumbnail and contact sheet, and a
 * file for every clip of the lease. Files are published whole (draft, fsync, rename) and deterministic. */
#ifndef REELWRIGHT_FINISH_H
#define REELWRIGHT_FINISH_H

#include "worker/render.h"

/* Appends lease->clip_count results to *out (paths relative to the campaign folder: clips/STEM.mp4 for the first
 * rendition, clips/STEM.NAME.mp4 for the others, clips/STEM.png the thumbnail, clips/STEM.sheet.png). Idempotent. */
Status finish_clips(Engine *e, const RenderedLatents *r, const Lease *lease, Progress progress, LeaseResult *out);

#endif
