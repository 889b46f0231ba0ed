/* follow.h - how a clip's pictures follow from one another: by a camera that moves, or by fading into other ones. On small pictures. */
#ifndef REELWRIGHT_FOLLOW_H
#define REELWRIGHT_FOLLOW_H

#include <stdbool.h>
#include <stdint.h>

typedef struct {
    int width, height, count;
    double interval_s;         /* between two pictures */
    const uint8_t *const *rgb; /* [count] of [height][width][3]; borrowed */
} Follow;

/* A camera that goes over half a picture and more, or zooms by 1.3 and more: each picture is found again, moved or magnified, in the one 0.4 s later
 * (least correlation 0.89 over what both show, and the same colours). What it shows at its end may well have other ones. */
bool follow_is_camera(const Follow *f);

/* Whether most of what picture a shows still stands at its place in picture b: half of the parts that have texture in either correlate by 0.7 and
 * more and have the same hue. Light that wanders, a door that opens, and things that pass change the colours of the whole, and leave the place. */
bool follow_is_place(const Follow *f, int a, int b);

/* Whether the clip's edges are weak for a while, half a second and more after and before they are strong. Where a scene fades into another one, the edges of
 * both are half as high in the middle: a quarter of the squares of each, so half of both; least 0.22 to 0.54 of the mean before and after. Where a thing comes,
 * goes, grows or turns, the picture's edges are always whole; most have 0.75 and more. */
bool follow_is_dissolve(const Follow *f);

/* How much a picture is the mean of those 0.6 s before and after it, where these two differ by more than light: per cent of their contrast
 * that the mean explains and nothing else. 0 where things move or stand still, and where the place
 * stays and only its light wanders; a scene that fades into another one has 15 and more. */
double follow_blend(const Follow *f, int *at);

#endif
