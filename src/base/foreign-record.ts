import { z } from 'zod';

/**
 * A record whose keys somebody else chose. Every key is checked, `__proto__` among them, which `z.record`
 * silently leaves out: a condition that is lost selects more, not less. The result has no prototype: a key is
 * there or it is not.
 */
export const foreignRecord = <V extends z.ZodType>(
  key: z.ZodType<string, string>,
  value: V,
): z.ZodType<Record<string, z.output<V>>, Record<string, z.input<V>>> =>
  z
    .custom<Record<string, z.input<V>>>(isPlainRecord, 'expected names with values')
    .transform((given, context) => {
      const record = emptyRecord<z.output<V>>();
      for (const [name, content] of Object.entries(given)) {
        const parsed = key.safeParse(name);
        const said = value.safeParse(content);
        if (parsed.success && said.success) record[parsed.data] = said.data;
        if (!parsed.success) {
          const why = parsed.error.issues[0]?.message ?? 'cannot be a name here';
          context.addIssue({
            code: 'custom',
            path: [name],
            message: `${JSON.stringify(name.slice(0, 64))}: ${why}`,
          });
        } else if (!said.success)
          for (const { path, message } of said.error.issues)
            context.addIssue({ code: 'custom', path: [name, ...path], message });
      }
      return record;
    });

/**
 * For keys of others: assigning `__proto__` to it makes an entry, and asking for `constructor` finds none.
 */
export const emptyRecord = <T>(): Record<string, T> => Object.create(null) as Record<string, T>;

/** Any key but the one that objects take for their prototype: older readers would lose it. */
export const anyKey = z
  .string()
  .refine((name) => name !== '__proto__', 'this name cannot be used: programs take it for something else');

const isPlainRecord = (value: unknown): boolean =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
