/* page.h - what a clip's landing page can say of the clip itself: {{clip.NAME}} in the campaign's template.
 *
 * The campaign's finish document has "page": {"parts": [...]}: a text is a piece of the template, a number stands for that value of the
 * clip's "page_values", and {"clip": NAME} for what the finisher knows. Values are in the documents as they stand in the page, escaped;
 * the finisher escapes its own. */
#ifndef REELWRIGHT_PAGE_H
#define REELWRIGHT_PAGE_H

typedef enum {
    PAGE_MARKUP,  /* elements: where a paragraph may stand */
    PAGE_ADDRESS, /* of a file beside the page: in href or src */
    PAGE_WORDS    /* a text, anywhere but in a script */
} PageKind;

#define PAGE_LIST(X)                                                                                                   \
    X(player, PAGE_MARKUP, "the video with its poster and captions, in all shapes that the clip has")                  \
    X(downloads, PAGE_MARKUP, "a list of links to its files")                                                          \
    X(video, PAGE_ADDRESS, "the first video")                                                                          \
    X(poster, PAGE_ADDRESS, "the poster, else the thumbnail")                                                          \
    X(gif, PAGE_ADDRESS, "the GIF, else the poster")                                                                   \
    X(captions, PAGE_ADDRESS, "the .vtt file; empty where nothing is said")                                            \
    X(disclosure, PAGE_WORDS, "a sentence that AI made it, in the voice's language")                                   \
    X(label, PAGE_WORDS, "the words of the clip's mark; empty without a label")                                        \
    X(language, PAGE_WORDS, "the voice's language, for <html lang>")                                                   \
    X(length, PAGE_WORDS, "of the clip, 0:05")                                                                         \
    X(id, PAGE_WORDS, "the row's id")

typedef enum {
#define PAGE_NAME(name, kind, about) PAGE_##name,
    PAGE_LIST(PAGE_NAME)
#undef PAGE_NAME
        PAGE_COUNT
} PageOwn;

typedef struct {
    const char *name;
    PageKind kind;
} PageOwnName;
extern const PageOwnName page_own[PAGE_COUNT];

int page_own_find(const char *name); /* -1: there is none */

#endif
