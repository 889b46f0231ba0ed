/* label.h - the mark that says "made by AI", in a layer above everything else.
 *
 *   eu    the capitals "AI" in a box and words beside them, in an upper corner, from the first frame to the last (AI Act Art. 50 and its
 *         code of practice: an icon whose main element is those capitals, recognisable at once, nothing over it)
 *   cn    "AI生成" in the first two seconds and longer (GB 45438-2025: at least 2 s), and the JSON that its metadata asks for
 *   text  own words, from the first frame to the last
 *   none  nothing; the campaign says why
 * Capitals are at least 5 % of the frame's shorter side high. Letters stand on a box of their own, so that they have the same
 * contrast on any ground: at least 12 to 1, measured (test_label). */
#ifndef REELWRIGHT_LABEL_H
#define REELWRIGHT_LABEL_H

#include <jansson.h>

#include "worker/finish/layer.h"
#include "worker/finish/legible.h"

typedef struct Label Label;

/* spec: {profile, position: "top-left" or "top-right", text}, the finish spec's "label"; NULL or profile none: *out is NULL, which
 * the functions below take. ERR_INPUT: another profile; ERR_CLIP: the words do not fit. */
Status label_open(const json_t *spec, int width, int height, Box safe, Label **out);
void label_close(Label **l);

/* The words that it shows; "" for NULL. */
const char *label_words(const json_t *spec);
Box label_box(const Label *l); /* where it is; width 0 without one */
/* Draws on a frame (RGB24 or YUV420P) that is shown at_s seconds after the first. */
Status label_draw(const Label *l, AVFrame *frame, double at_s);

/* Contrast of the label in a picture that should have it: 1 where it is not there; NAN: there is no label. */
double label_seen(const Label *l, const Grey *picture);

/* What GB 45438-2025 wants in a file's metadata under the key AIGC; NULL for other profiles; free() it. */
char *label_metadata(const json_t *spec, const char *producer, const char *clip_id);

#endif
