/* template.h - "a {{colour|red}} balloon over {{place}}": a text with the values of a customer's row in it.
 *
 * {{column}} is the row's value, as it stands: braces in a value are not expanded again. {{column|fallback}} is the
 * fallback where the value is empty or the table has no such column. Spaces and tabs around column and fallback do
 * not count. \{{ is two literal braces. */
#ifndef REELWRIGHT_TEMPLATE_H
#define REELWRIGHT_TEMPLATE_H

#include <stdbool.h>

#include "coordinator/campaign/customers.h"

typedef struct Template Template;

/* Never NULL. What is wrong with it (a variable that is not closed or has no name, a column that the table lacks and
 * that has no fallback) goes to faults. `columns` may be a table without rows; one without columns (it could not be
 * read) accepts every name. The text is copied. */
Template *template_new(const char *text, const Customers *columns, Place place, Faults *faults);
void template_free(Template **t);

bool template_is_constant(const Template *t); /* no variable in it */
int template_first_column(const Template *t); /* of the columns it uses; -1: none */
/* The first column that this row leaves empty and that has no fallback; -1: none, the row has all it needs. */
int template_missing(const Template *t, const Customers *c, int64_t row);
/* The text for this row (negative: for none; each variable is then its fallback, or nothing) in *buffer, which grows like getline's
 * (free() it at the end); returns its length. */
size_t template_expand(const Template *t, const Customers *c, int64_t row, char **buffer, size_t *room);
/* The same with values made fit for where they go. */
typedef enum {
    TEMPLATE_RAW,
    TEMPLATE_CLEAN, /* line breaks and control characters in a value are spaces */
    TEMPLATE_SHOWN, /* clean, and between U+2068 and U+2069, so that its direction is its own */
    TEMPLATE_XML    /* clean, and <, >, &, quotes as entities */
} TemplateForm;
size_t template_expand_as(const Template *t, const Customers *c, int64_t row, TemplateForm form, char **buffer,
                          size_t *room);
/* The column of its i-th part; negative: text, TEMPLATE_END: there is no such part. */
enum { TEMPLATE_END = -2 };
int template_column(const Template *t, int i);

#endif
