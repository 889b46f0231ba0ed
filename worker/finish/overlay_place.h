/* overlay_place.h - where and when an overlay stands: the places of a frame by name, and the times of a clip. For the files of overlay.h. */
#ifndef REELWRIGHT_OVERLAY_PLACE_H
#define REELWRIGHT_OVERLAY_PLACE_H

#include "worker/finish/overlay.h"

/* The number of the overlay's place; -1: there is none of that name. The place of an end card depends on what stands there. */
int overlay_place_of(const json_t *o);
int overlay_anchor(int place); /* where in its room it stands, as on a number pad: 1 is left below, 9 right above */
/* The part of the frame that the place has: inside the safe area, below the label, above subtitles. */
Box overlay_room_of(const OverlayFrame *f, int place);
/* A box of this size in the room, at this anchor. */
Box overlay_box_at(Box room, int anchor, int width, int height);
bool overlay_have_common(Box a, Box b); /* they have pixels in common */

double overlay_end_of(const json_t *o, double duration_s); /* when it goes, at the latest with the clip */
/* It comes after the clip's end: *message says so, free() it. Subtitles may. */
bool overlay_begins_late(const json_t *o, double duration_s, char **message);

#endif
