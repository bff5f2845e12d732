/**
 * What all of them gave, in their order. When one fails, the others are waited for all the same: nothing is
 * still under way behind the back of whoever handles the failure.
 * @throws what the first of them, in their order, failed with.
 */
export async function allSettled<T>(acts: readonly Promise<T>[]): Promise<T[]> {
  const outcomes = await Promise.allSettled(acts);
  return outcomes.map((one) => {
    if (one.status === 'rejected') throw one.reason;
    return one.value;
  });
}
