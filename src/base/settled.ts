/**
 * The results of all of them, in order. When one fails, the others are still waited for, so that nothing is
 * under way any more when the failure is handled.
 * @throws the error of the first of them, in order, that failed.
 */
export async function allSettled<T>(acts: readonly Promise<T>[]): Promise<T[]> {
  const outcomes = await Promise.allSettled(acts);
  return outcomes.map((one) => {
    if (one.status === 'rejected') throw one.reason;
    return one.value;
  });
}
