/* xmp.h - what a finished file says of itself in the fields that picture desks and platforms read without any certificate: an XMP packet with IPTC's
 * digital source type (trainedAlgorithmicMedia), PLUS's data mining (prohibited), and where the label asks for it the AIGC field of
 * GB 45438-2025 (namespace of TC260). No name, prompt or cell of a customer's row is in it.
 *
 * In an MP4 it is a `uuid` box at the end (XMP specification part 3, BE7ACFCB-97A9-42E8-9C71-999491E3AFAC), so that nothing moves; in a PNG an iTXt
 * chunk, in a JPEG an APP1 segment, in a GIF an application extension. */
#ifndef REELWRIGHT_XMP_H
#define REELWRIGHT_XMP_H

#include <stddef.h>

#include "common/status.h"

/* aigc: the JSON text, or NULL. Changes the file in its place, before it is signed; one whose ending is none of these stays as it is. */
Status xmp_add(const char *path, const char *aigc);

/* The packet; free() it. */
char *xmp_packet(const char *aigc, size_t *bytes);

#endif
