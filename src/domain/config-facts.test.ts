import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  configuration,
  type ConfigurationFact,
  type DeclareConfiguration,
  driftOf,
  type Settings,
} from './config-facts.ts';
import { expectReplays, fold, scenario } from './testing.ts';

const given = scenario(configuration);
const says = (hostId: string, settings: Settings, alive: string[] = []): DeclareConfiguration => ({
  type: 'declare-configuration',
  hostId,
  nodename: `name of ${hostId}`,
  settings,
  alive,
});
const declared = (hostId: string, settings: Settings): ConfigurationFact => ({
  type: 'configuration.declared',
  data: { hostId, nodename: `name of ${hostId}`, settings },
});
const adopted = (settings: Settings): ConfigurationFact => ({
  type: 'configuration.adopted',
  data: { settings },
});
const [off, otp] = [{ factor: 'off' }, { factor: 'otp' }];

describe('declaring what the file of an auth server says', () => {
  it('settles what nobody had said before', () => {
    given().when(says('a', otp)).then(declared('a', otp), adopted(otp));
  });

  it('makes no fact when it says the same as before', () => {
    given(declared('a', otp), adopted(otp)).when(says('a', otp)).then();
  });

  it('changes what stands when no other auth server is alive', () => {
    const before = [declared('a', otp), declared('b', otp), adopted(otp)];
    given(...before)
      .when(says('a', off, ['a']))
      .then(declared('a', off), adopted(off));
  });

  it('leaves what stands while another that is alive says otherwise', () => {
    given(declared('a', otp), adopted(otp), declared('b', otp))
      .when(says('a', off, ['a', 'b']))
      .then(declared('a', off));
  });

  it('changes what stands when the last one says the new value', () => {
    given(declared('a', otp), adopted(otp), declared('b', otp), declared('a', off))
      .when(says('b', off, ['a']))
      .then(declared('b', off), adopted(off));
  });

  it('is not held up by one that does not know the key', () => {
    given(declared('a', {}), declared('b', otp), adopted(otp))
      .when(says('b', off, ['a']))
      .then(declared('b', off), adopted(off));
  });

  it('adopts without declaring again, once the other one is gone', () => {
    given(declared('b', otp), adopted(otp), declared('a', off))
      .when(says('a', off, []))
      .then(adopted(off));
  });

  it('replays whatever is declared', () => {
    const host = fc.constantFrom('a', 'b', 'c');
    const settings = fc.dictionary(fc.constantFrom('x', 'y'), fc.constantFrom('1', '2'));
    expectReplays(
      configuration,
      fc.record({
        type: fc.constant('declare-configuration' as const),
        hostId: host,
        nodename: host,
        settings,
        alive: fc.array(host),
      }),
    );
  });
});

describe('what differs between the files', () => {
  const state = fold(configuration, [declared('a', otp), adopted(otp), declared('b', off)]);
  it('is named with what stands and who says what', () => {
    expect(driftOf(state, () => true)).toEqual([
      { key: 'factor', standing: 'otp', others: [{ hostId: 'b', nodename: 'name of b', value: 'off' }] },
    ]);
  });
  it('is asked only of those that are alive', () => {
    expect(driftOf(state, (id) => id === 'a')).toEqual([]);
  });
});
