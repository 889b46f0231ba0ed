/* kept.h - converted frames of the shot that was finished last: its next clip takes them instead of computing them again.
 *
 * Motion between frames is the dearest part of a finish (SPEED.md), and the same for all clips of a shot. A finisher gets the clips of a shot
 * one after the other, so it keeps what it made of the last one: in memory, as 8 bits a channel, which is what the filter gives; 182 MB for
 * 81 frames of 832x480 at 30 a second. Nothing lies on a disk, and nothing has to be deleted. What would take more than KEPT_MOST_MB, or a
 * sixteenth of the machine's memory, is not kept. For one finish at a time. */
#ifndef REELWRIGHT_KEPT_H
#define REELWRIGHT_KEPT_H

#include <stdbool.h>
#include <stdint.h>

enum { KEPT_MOST_MB = 512 };

typedef struct Kept Kept;

/* The frames that were kept under this key; NULL: none, or not all of them. Valid until the next kept_begin. */
const Kept *kept_find(const char *key);
int64_t kept_count(const Kept *k);
/* The i-th as floats, size: values of a frame; false: it has another size. */
bool kept_read(const Kept *k, int64_t i, float *rgb, int64_t size);

/* Begins to keep frames under this key, and drops those that were kept. kept_find finds them after kept_end. */
Kept *kept_begin(const char *key);
void kept_add(Kept *k, const float *rgb, int64_t size); /* values of n/255 */
void kept_end(Kept *k);
void kept_drop(void); /* all that is kept */

#endif
