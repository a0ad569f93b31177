/* pools.h: the huge pages a program asks for are those of the modelled machine.
 *
 *   program: mmap(MAP_HUGETLB) ─► pools_wanted ─► EV_ASK ─► the model: has my pool room?
 *                                 pools_answer ◄─ verdict ◄──┘
 *   QEMU: mmap64(…) ─► here ─┬ refused: that error
 *                            └ granted: ordinary memory of the host, at a place and of a length that
 *                              huge pages would have; the host's pool is not touched
 */
#ifndef PLUGIN_POOLS_H
#define PLUGIN_POOLS_H

#include <stdbool.h>
#include <stdint.h>

/* pools_open puts our functions in the place of those through which QEMU makes the calls. */
void pools_open(void);
/* pools_wanted: this call of the program wants pages of a pool, and its answer is ours to give. */
bool pools_wanted(uint64_t num, const uint64_t args[6]);
/* pools_answer: what the model says to it, 0 or -errno. */
void pools_answer(int verdict);
/* pools_forget: the thread's call is over. */
void pools_forget(void);
/* pools_child: in a forked child nobody holds a lock. */
void pools_child(void);
/* pools_file_log returns log2 of the page size of a file of huge pages, 0 for any other file. */
unsigned pools_file_log(int fd);

#endif
