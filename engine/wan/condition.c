#include "condition.h"

#include <stdlib.h>

void condition_clear(Condition *c)
{
    free(c->channels);
    free(c->first);
    free(c->image_rows);
    free(c->control);
    free(c->speaker);
    *c = (Condition){0};
}
