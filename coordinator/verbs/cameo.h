/* cameo.h - between the files of `reelwright cameo`. */
#ifndef REELWRIGHT_CAMEO_VERB_H
#define REELWRIGHT_CAMEO_VERB_H

#include <stdint.h>

#include "common/options.h"

int64_t cameo_now(void); /* seconds since 1970 */
/* --trust DIR */
Option cameo_trust_option(const char **to);
/* The arguments of a verb with one id and these options, the first of which is --trust. more: for the usage, what stands behind ID. *id is NULL
 * when help was printed. */
Status cameo_read_id(const char *verb, const char *about, const char *more, const Option *table, int count, int argc,
                     char **argv, const char **id);

Status cameo_grant(int argc, char **argv);
Status cameo_revoke(int argc, char **argv);
Status cameo_list(int argc, char **argv);
Status cameo_show(int argc, char **argv);
Status cameo_export(int argc, char **argv);

#endif
