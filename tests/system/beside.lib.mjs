// Who else is asked about a payment that ours refuse: nobody, unless
// tests/interop has set it before it imports a test file of this folder.
//   start(devnet), stop(), check(label, body, reason, daemon)
export const beside = {};
