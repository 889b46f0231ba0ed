/* overlay.h - what a campaign lays over its clips: texts, pictures, codes, each at its place, in its time, with fades.
 *
 * The list is that of the finish spec: an array of objects with one of "text" (UTF-8, values already inserted), "image" (a file) or
 * "qr" (what the code says), and
 *   place   top-left top top-right left centre right bottom-left bottom bottom-right lower-third end-card
 *   from,to seconds; to 0 = the clip's end; fade seconds, of each end
 *   scale   of a picture: its longer edge, of a code: its edge, as a share of the frame's shorter side
 *   style   of a text: {font, size, bold, color, outline, outline_width, shadow, box, max_lines, least}; sizes are shares of the
 *           frame's shorter side, colours "#RRGGBB" or "#RRGGBBAA", box "none", "auto" (where the picture beneath asks for it) or a
 *           colour, least the share of the size to which a long text may shrink.
 *   subtitle  true: it is one of the clip's subtitles
 * Nothing is drawn outside of the frame's safe area. Fonts and pictures are loaded once per process. */
#ifndef REELWRIGHT_OVERLAY_H
#define REELWRIGHT_OVERLAY_H

#include <jansson.h>
#include <stdbool.h>

#include "worker/finish/label.h"

enum { OVERLAY_MAX = 16 + 200 /* a campaign's own, and as many subtitles as there can be (subtitles.h) */ };

typedef struct {
    int width, height; /* of the frame */
    Box safe;          /* nothing is drawn outside of it */
    Box label;         /* the label's, width 0 = none: what has its corner goes below it */
    int subtitles_y; /* set by overlay_open: where subtitles begin, 0 = none: what stands at the bottom goes above them */
    double fps, duration_s;
} OverlayFrame;

typedef struct Overlay Overlay;

/* Lays everything out. list may be NULL. ERR_INPUT: not such a list, a file that is no picture; ERR_CLIP: something does not
 * fit. The message begins with "overlays[1]". */
Status overlay_open(const json_t *list, const OverlayFrame *frame, Overlay **out);
/* Draws on the number-th frame (RGB24 or YUV420P), in order of the numbers: a box behind a text eases in where the picture beneath
 * becomes too like it. */
Status overlay_draw(Overlay *o, AVFrame *frame, int64_t number);
/* Every one of them, whatever its time: a still that says everything; codes first, and without what would lie over another one. Does not
 * count as a frame. */
Status overlay_draw_all(Overlay *o, AVFrame *frame);
void overlay_close(Overlay **o);

/* The least contrast of the texts (legible.h) in a frame (YUV420P) on which everything was drawn. Each text is judged once, in the middle of
 * its time. NAN: none is judged in this frame. */
double overlay_contrast(const Overlay *o, const AVFrame *frame, int64_t number);
/* Whether each code can be read over a plain ground: in the middle of its time, with what else is there then, or in a still; below the label,
 * NULL: there is none. *unread: the first that cannot, overlays[*unread]; -1: none. What coding costs is not in it. */
Status overlay_read_codes(Overlay *o, const Label *label, bool still, int *unread);

/* What `check` says of one list: a glyph that no font has, a font that is absent, a place that two want at one time, a time after
 * the clip's end. found() is called for each with the member's path, "overlays[1].text", and the fault. */
typedef void OverlayFault(void *self, const char *field, const char *message);
void overlay_check(const json_t *list, double duration_s, OverlayFault *found, void *self);
/* Of that only what its length decides: times after its end, and two at one place at one time. */
void overlay_check_times(const json_t *list, double duration_s, OverlayFault *found, void *self);
/* A copy of the list, NULL is an empty one, in which a time from the clip's end ("from": -2) is one from its beginning. All others take that. */
json_t *overlay_timed(const json_t *list, double duration_s);

/* "#RRGGBB" or "#RRGGBBAA" -> 0xRRGGBBAA; false: neither. */
bool overlay_color(const char *text, uint32_t *color);

#endif
