import { z } from 'zod';

const missing = (key: string): string => `etcd: missing "${key}" parameter, initialization failed`;

const peer = z
  .string()
  .regex(/^(https?:\/\/)?[^\s/,]+$/, 'expected https://host:port')
  .refine(
    (text) => !/^(https?:\/\/)?\d+$/.test(text),
    'a number alone is not a host: write https://host:port',
  )
  .refine((text) => Number(/:(\d+)$/.exec(text)?.[1] ?? 0) < 65536, 'the port is above 65535');

/** Which etcd, and where in it: a missing value and one of another form have different errors. */
export const etcdPlace = {
  peers: z
    .array(peer, {
      error: ({ input }) =>
        input === undefined ? missing('peers') : 'expected a list: [https://host:port, …]',
    })
    .min(1, missing('peers')),
  prefix: z
    .string({
      error: ({ input }) => (input === undefined ? missing('prefix') : 'expected a text: /teleport'),
    })
    .refine((text) => /[^/]/.test(text), 'etcd: a prefix has more than slashes: /teleport'),
};

/** Keys that show which `type` was forgotten. */
const telling = { peers: 'etcd', prefix: 'etcd', table_name: 'dynamodb' } as const;

/** Adds an issue when the section has no `type`, but keys of a type that is not the default. */
export function missesType(section: unknown, context: z.core.$RefinementCtx): void {
  if (typeof section !== 'object' || section === null || 'type' in section) return;
  for (const [key, type] of Object.entries(telling))
    if (key in section)
      context.addIssue({
        code: 'custom',
        path: [key],
        message: `belongs to "type: ${type}", which is not set`,
      });
}
