/* prove.h - what a clip is measured for and carries as proof while it is finished: gates over its shot's frames and its sound, watermark in
 * every rendition, fingerprint, and credentials, which come last.
 *
 * The keys of the campaign's finish document (common/finish_spec.h) that ask for it, each left out = not asked for:
 *   "gates"        an object of bounds (gate.h)
 *   "measure"      a command that measures for gates, too (measure.h);  "looks"  the folder of the index for near-duplicates (common/looks.h)
 *   "watermark"    true: in videos, posters, GIFs and the thumbnail, not in the contact sheet
 *   "credentials"  {"certificate": file, "key": file (or "signer": command), "timestamp": address or left out}
 *   "campaign"     its name, which watermark and credentials are made of with the clip's id
 *   "model"        a list of parts for the credentials;  "trust", "cameo"  of whose consent they name the hash
 *
 * What it writes into the clip's document: "gates" (gate.h), "iscc", "watermark" (the payload, or why there is none) with
 * "watermarks" ([{"file", "found", "bit_accuracy", "p_value", "sigma"}]), "credentials" ("signed"), and "held_by", the gates that
 * want a person to look. */
#ifndef REELWRIGHT_PROVE_H
#define REELWRIGHT_PROVE_H

#include <stdbool.h>

#include "common/finish_spec.h"
#include "common/shot.h"

typedef struct { /* seconds, summed over threads; of what is not asked for 0 */
    double gates_s, watermark_s, credentials_s;
} FinishTook;

typedef struct { /* borrowed */
    const FinishSpec *spec;
    const ShotSpec *shot;
    const char *clip_id;
    const char *secret_file; /* of the watermark; made when it is not there */
    double duration_s;       /* of the clip: its sound may last longer than its shot */
    FinishTook *took;        /* what its parts take is added here; NULL: nobody asks */
    bool sound;              /* it has some: a voice or music. A platform's silent track is not listened to */
} ProveJob;

typedef struct Prove Prove;

/* *out NULL: the campaign asks for nothing. ERR_INPUT: what it asks for cannot be done here. */
Status prove_begin(const ProveJob *job, Prove **out);
/* The clip's pictures and files are numbered: each rendition by its own number, then these. */
enum { PROVE_THUMBNAIL = MAX_RENDITIONS, PROVE_SHEET, PROVE_FILES };
/* Rendition `rendition` is a copy of `from`: nothing passes for it. */
void prove_same(Prove *p, int rendition, int from);
void prove_abandon(Prove **p); /* NULL is fine, as for all below */
/* The shot's frames [n,H,W,3], in order; from one thread at a time. */
Status prove_frames(Prove *p, const float *frames, int n, int height, int width);
typedef struct { /* borrowed */
    int rendition;
    uint8_t *const *plane; /* three, 8-bit 4:2:0 of limited range */
    const int *stride;
    int width, height, fps;
} ProvePicture;
/* A picture of a rendition on its way to the encoder, in order; of different renditions at once. */
Status prove_picture(Prove *p, const ProvePicture *picture);
/* A still or a frame of a GIF (RGB24), before its file is written; of different numbers at once. */
void prove_still(Prove *p, int number, uint8_t *rgb, int stride, int width, int height);
/* Gates are wanted: what prove_tell is told counts. */
bool prove_measures(const Prove *p);
/* What finishing itself has measured of a rendition, for the gate of that name (common/gates.h); from any thread. */
void prove_tell(Prove *p, int gate, double value, double at_s);
typedef struct {
    const char *path[PROVE_FILES]; /* borrowed; NULL: there is none of this number */
    bool is_video[PROVE_FILES];
} ProveFiles;
/* The finished files; the first video's sound is measured. Signs them in place. ERR_CLIP: a gate fails; its message names the gate, the
 * value and the bound. Frees *p. */
Status prove_end(Prove **p, const ProveFiles *files, json_t *document);

#endif
