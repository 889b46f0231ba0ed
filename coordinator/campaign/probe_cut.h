/* probe_cut.h - whether the file of a picture or a video ends too early, as one does whose upload broke off. By its structure alone, without a
 * decoder: the file is read once, which its hash does anyway. What is said to be cut the workers' decoders refuse, or they show a part of it;
 * damage inside they find alone. */
#ifndef REELWRIGHT_PROBE_CUT_H
#define REELWRIGHT_PROBE_CUT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

typedef bool ProbeIsCut(FILE *f, int64_t bytes); /* of the file */

ProbeIsCut probe_jpeg_is_cut, probe_png_is_cut, probe_gif_is_cut, probe_bmp_is_cut, probe_tiff_is_cut;
ProbeIsCut probe_riff_is_cut;     /* WebP, AVI */
ProbeIsCut probe_boxes_are_cut;   /* AVIF, HEIC, MP4, QuickTime */
ProbeIsCut probe_matroska_is_cut; /* WebM, too */

#endif
