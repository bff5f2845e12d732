import { catalogue } from './audit-catalogue.ts';
import { reserved } from './audit-reserved.ts';

/** Roles whose machines may report events; all other audit events come from auth alone. */
export type ReportingRole = 'Node' | 'Proxy';

const byCode = Map.groupBy([...Object.values(catalogue), ...reserved], ({ code }) => code);

/** Auth servers are upgraded first, so they know every event that their machines emit. */
export const mayReport = (role: ReportingRole, event: string, code: string): boolean =>
  byCode.get(code)?.some((kind) => kind.event === event && kind.by.includes(role)) ?? false;
