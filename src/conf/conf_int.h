/* conf_int.h: what the files of conf share among themselves. */
#ifndef CONF_CONF_INT_H
#define CONF_CONF_INT_H

#include "conf/conf.h"

/* conf_refuse writes one line to err and returns -EINVAL. */
int conf_refuse(char *err, size_t err_size, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* conf_unknown refuses a key that is not in the table and names the nearest one that is. */
int conf_unknown(const char *key, char *err, size_t err_size);
/* conf_value returns the number of an option; not for CONF_T_TEXT. */
uint64_t conf_value(const struct conf *c, const struct conf_option *o);
/* conf_parse_number understands the whole of `text`, with a suffix K, M, G or T if it is a size, or
 * fails with -EINVAL or -ERANGE. */
int conf_parse_number(const char *text, bool size, uint64_t *ret);
/* conf_list_word copies the next word of a list and returns what follows it, NULL at the end. Words
 * are separated by spaces, commas or slashes; one longer than `size` is cut and so no number. */
const char *conf_list_word(const char *list, char *word, size_t size);

#endif
