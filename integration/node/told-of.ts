import type { AuditEvent } from '../../src/domain/audit-event.ts';
import { until } from '../harness/run-program.ts';
import type { NodeBench } from './node-bench.ts';

/** Waits until an event of this type is there that has these fields. */
export const toldOf = (
  bench: NodeBench,
  event: string,
  fields: Record<string, unknown>,
): Promise<AuditEvent> =>
  until(`an event ${event} with ${JSON.stringify(fields)}`, () =>
    bench.told(event).find((one) => Object.entries(fields).every(([name, value]) => one[name] === value)),
  );
