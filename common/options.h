/* options.h - the command line of one verb: a table says every option's name, type, range and meaning; reading it checks
 * them, and the same table prints the help. Built on getopt_long.
 *
 *     static const Option table[] = {
 *         {.name = "frames", .kind = OPTION_INT, .to = &frames, .value = "N", .min = 1, .max = 1e6, .help = "how many"},
 *         {.name = "quiet", .kind = OPTION_FLAG, .to = &quiet, .help = "say nothing"}};
 *     static const Usage usage = {.verb = "render", .arguments = "", .about = "...", .option = table, .option_count = 2};
 *     int first;
 *     TRY(options_read(&usage, argc, argv, &first));
 *     if (first < 0) return status_ok();   (help was asked for and printed)
 */
#ifndef REELWRIGHT_OPTIONS_H
#define REELWRIGHT_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/status.h"

typedef enum {
    OPTION_FLAG,   /* bool: no value */
    OPTION_TEXT,   /* const char *: the argument itself, borrowed */
    OPTION_TEXTS,  /* OptionTexts: may be given several times */
    OPTION_INT,    /* int, min to max */
    OPTION_REAL,   /* double, finite, min to max */
    OPTION_SEED,   /* uint64_t, all of them */
    OPTION_CHOICE, /* int: index of one of the words in .value, "fp32|bf16" */
} OptionKind;

enum { OPTION_TEXTS_MAX = 16 };
typedef struct {
    int count;
    const char *text[OPTION_TEXTS_MAX];
} OptionTexts;

typedef struct {
    const char *name; /* without the dashes */
    OptionKind kind;
    void *to;          /* what .kind says; left as it is when the option is not given, so it holds the default */
    const char *value; /* how the help names the value: "N", "FILE.mp4"; NULL for a flag */
    double min, max;   /* both 0: any */
    bool required;
    const char *help; /* NULL: shares the help of the option after it */
} Option;

typedef struct {
    const char *verb;
    const char *arguments; /* for the usage line: "CAMPAIGN.yaml --out DIR [options]" */
    const char *about;     /* one or a few lines */
    const Option *option;
    int option_count;
    int min_arguments, max_arguments; /* how many words without dashes */
} Usage;

/* argv[0] is the verb. On success the words without dashes stand at argv[*first] .. argv[argc - 1]; *first is -1 when
 * --help was given and the help is printed. ERR_INPUT: "--frames 30x: expected a whole number". */
Status options_read(const Usage *u, int argc, char **argv, int *first);

enum { OPTIONS_CHOICE_BYTES = 16 };
/* What OPTION_CHOICE reads, the other way: the word with this index of "fp32|bf16". */
const char *options_choice(const char *words, int index, char out[OPTIONS_CHOICE_BYTES]);

/* The word of the list that `word` most likely means, or NULL when none is near. */
const char *options_nearest(const char *word, const char *const *list, int count);

#endif
