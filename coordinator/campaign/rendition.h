/* rendition.h - the formats that clips are delivered in: configs/renditions.yaml, whose text is compiled into the
 * program, so that the executable runs by itself on any node. Change the file and build again to add or change one. */
#ifndef REELWRIGHT_RENDITION_H
#define REELWRIGHT_RENDITION_H

#include "common/clip.h"
#include "coordinator/campaign/faults.h"

enum { RENDITION_MAX_KNOWN = 64 };

typedef struct {
    int count;
    Rendition rendition[RENDITION_MAX_KNOWN]; /* width and height 0: the render's own size */
} RenditionList;

/* Reads the text of a renditions file; what is wrong goes to faults. */
void rendition_list_parse(const char *file, const char *text, size_t bytes, Faults *faults, RenditionList *out);
/* The ones that are compiled in: parsed at the first call, never freed. */
const RenditionList *rendition_list(void);
/* A copy of the named one with its size filled in for a render of width x height; false and a fault at `place` when
 * there is none. */
bool rendition_find(const char *name, int width, int height, Place place, Faults *faults, Rendition *out);

/* How many times larger a render of width x height becomes in it, 1 for its own size; and the part of its picture that is black beside
 * the render, 0 to 1 (an aspect that differs by up to 2 % is stretched). */
double rendition_enlargement(const Rendition *r, int width, int height);
double rendition_black(const Rendition *r, int width, int height);

/* The compiled-in file. */
extern const char rendition_text[];
extern const size_t rendition_text_bytes;

#endif
