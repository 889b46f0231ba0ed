/* page.h - a clip's landing page, of the campaign's template (common/page.h): one HTML file beside the clip's others. It names them by their
 * names alone, so that the folder can be put anywhere; it needs nothing else, and holds the captions itself. */
#ifndef REELWRIGHT_FINISH_PAGE_H
#define REELWRIGHT_FINISH_PAGE_H

#include <jansson.h>

#include "common/clip.h"

typedef struct { /* a rendition's file */
    const char *name;
    const Rendition *rendition;
    int width, height;
} PageFile;

typedef struct {                 /* all borrowed */
    const json_t *page, *values; /* of the finish documents; values may be NULL */
    int file_count;
    PageFile file[MAX_RENDITIONS];
    const char *thumbnail;
    const char *captions;     /* file; NULL: nothing is said */
    const char *captions_vtt; /* what it holds */
    const char *language;     /* NULL: nothing is said */
    const json_t *label;      /* NULL: none */
    const char *clip_id;
    double duration_s;
} Page;

/* ERR_FATAL: the documents do not fit together. */
Status page_write(const char *path, const Page *page);

#endif
