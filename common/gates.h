/* gates.h - the quality gates by name: what configs/gates.yaml may set and what the worker measures (worker/gate/gate.c). A new gate
 * is a row here, its measure there, and its thresholds with their reason in configs/gates.yaml. */
#ifndef REELWRIGHT_GATES_H
#define REELWRIGHT_GATES_H

#include <stdbool.h>

#define GATES_LIST(X)                                                                                                  \
    X(nan, "pixels", "pixels that are no number, of the decoder's own floats")                                         \
    X(saturated, "s", "seconds in which most of the picture is at the end of the range")                               \
    X(black, "s", "seconds of black picture")                                                                          \
    X(frozen, "s", "longest time in which nothing moves")                                                              \
    X(flicker, "levels", "brightness that goes up and down, worst second")                                             \
    X(jump, "levels", "largest sudden change of the picture")                                                          \
    X(slip, "levels", "a thing that changes at once while the rest goes on")                                           \
    X(order, "%", "pictures that do not follow from one another, as where their order is wrong")                       \
    X(blur, "per mille", "width of the edges, of the longer side, worst half second")                                  \
    X(blur_change, "times", "how many times less sharp than the same parts are elsewhere in the clip")                 \
    X(blockiness, "times", "steps on a block grid, against those beside it")                                           \
    X(banding, "%", "area of false contours in smooth gradients")                                                      \
    X(flash, "per second", "changes between light and dark, most in one second")                                       \
    X(red_flash, "per second", "changes of saturated red, most in one second")                                         \
    X(exposure, "levels", "mean brightness, of the second that is furthest out")                                       \
    X(length, "s", "difference from the length that was promised, or between streams")                                 \
    X(streams, "faults", "streams that are missing or damaged")                                                        \
    X(loudness, "LUFS", "integrated loudness")                                                                         \
    X(true_peak, "dBTP", "highest peak between samples")                                                               \
    X(clipping, "per second", "places where samples are cut off, most in one second")                                  \
    X(silence, "s", "longest silence")                                                                                 \
    X(av_offset, "s", "sound against picture")                                                                         \
    X(subject, "%", "how much the picture is another one in another part of the clip")                                 \
    X(permanence, "levels", "pocket world: how much what was hidden has changed when it is seen again")                \
    X(face, "%", "likeness of the face to the reference, as a command measures it")                                    \
    X(duplicate, "bits", "distance to the nearest clip of another campaign, of 256")                                   \
    X(alike, "bits", "distance to the nearest other shot of the same campaign, of 256")                                \
    X(label, ": 1", "contrast of the label in the finished file; 1 = it is not there")                                 \
    X(legibility, ": 1", "least contrast of a text to what is around it")                                              \
    X(qr, "codes", "codes that cannot be read back")

enum {
#define GATES_ROW(name, unit, about) GATE_##name,
    GATES_LIST(GATES_ROW)
#undef GATES_ROW
        GATE_COUNT
};
enum { GATE_MAX_AGAIN = 9 };

/* It measures what the shot looks like, which another seed may change; the others measure what finishing adds. */
static inline bool gate_is_of_shot(int gate)
{
    return gate <= GATE_exposure || gate == GATE_subject || gate == GATE_permanence || gate == GATE_face ||
           gate == GATE_duplicate || gate == GATE_alike;
}

/* Not known before a clip is finished and its files are in their places: it can hold a clip, not fail it; and only a low value is a fault. */
static inline bool gate_only_holds(int gate) { return gate == GATE_alike; }

/* What one gate of a set asks for; NAN = no such bound. Both ends, for gates that have a low end: exposure, loudness. */
typedef struct {
    double hold, fail;         /* a value above is held for review, or fails the clip */
    double hold_low, fail_low; /* a value below */
    double again; /* how often a clip beyond them is rendered again with another seed, before that counts; 0 */
} GateBounds;

#endif
