//! The rows about `subnetSelectorTerms`, `securityGroupSelectorTerms` and `nodeSelectorTerms`.

/// What is wrong, the spec, and a part of the refusal.
pub(super) const TERMS: &[(&str, &str, &str)] = &[
    (
        "subnet terms and a subnet",
        "subnetID: subnet-12345678, nodeSelector: {a: b}, subnetSelectorTerms: [{name: db}]",
        "subnetSelectorTerms excludes subnetID, subnetIDs, subnetName and subnetNames",
    ),
    (
        "subnet terms and a list of names",
        "subnetNames: [db], nodeSelector: {a: b}, subnetSelectorTerms: [{name: db}]",
        "subnetSelectorTerms excludes subnetID, subnetIDs, subnetName and subnetNames",
    ),
    (
        "no subnet terms",
        "nodeSelector: {a: b}, subnetSelectorTerms: []",
        "subnetSelectorTerms must have at least one term",
    ),
    (
        "an empty subnet term",
        "nodeSelector: {a: b}, subnetSelectorTerms: [{}]",
        "a term of subnetSelectorTerms must not be empty",
    ),
    (
        "a subnet term with id and tags",
        "nodeSelector: {a: b}, subnetSelectorTerms: [{id: subnet-12345678, tags: {a: b}}]",
        "id stands alone in a term of subnetSelectorTerms",
    ),
    (
        "a subnet term with two Names",
        "nodeSelector: {a: b}, subnetSelectorTerms: [{name: db, tags: {Name: web}}]",
        "name is the tag Name: set one of them",
    ),
    (
        "a subnet term with a bad ID",
        "nodeSelector: {a: b}, subnetSelectorTerms: [{id: sg-12345678}]",
        "id must be a subnet ID such as",
    ),
    (
        "a subnet term with a wildcard",
        "nodeSelector: {a: b}, subnetSelectorTerms: [{name: 'db-*'}]",
        "name must not be empty and has no wildcard",
    ),
    (
        "a subnet term with an empty value",
        "nodeSelector: {a: b}, subnetSelectorTerms: [{tags: {tier: ''}}]",
        "values that are not empty",
    ),
    (
        "group terms and a list",
        "subnetID: subnet-12345678, nodeSelector: {a: b}, securityGroupIDs: [sg-12345678], securityGroupSelectorTerms: [{name: web}]",
        "securityGroupSelectorTerms excludes securityGroupIDs and securityGroupNames",
    ),
    (
        "no group terms",
        "subnetID: subnet-12345678, nodeSelector: {a: b}, securityGroupSelectorTerms: []",
        "securityGroupSelectorTerms must have at least one term",
    ),
    (
        "an empty group term",
        "subnetID: subnet-12345678, nodeSelector: {a: b}, securityGroupSelectorTerms: [{tags: {}}]",
        "a term of securityGroupSelectorTerms must not be empty",
    ),
    (
        "a group term with id and name",
        "subnetID: subnet-12345678, nodeSelector: {a: b}, securityGroupSelectorTerms: [{id: sg-12345678, name: web}]",
        "a term of securityGroupSelectorTerms has one of id, name and tags",
    ),
    (
        "a group term with name and tags",
        "subnetID: subnet-12345678, nodeSelector: {a: b}, securityGroupSelectorTerms: [{name: web, tags: {a: b}}]",
        "a term of securityGroupSelectorTerms has one of id, name and tags",
    ),
    (
        "a group term with a bad ID",
        "subnetID: subnet-12345678, nodeSelector: {a: b}, securityGroupSelectorTerms: [{id: web}]",
        "id must be a security group ID such as",
    ),
    (
        "a group term with a wildcard in a value",
        "subnetID: subnet-12345678, nodeSelector: {a: b}, securityGroupSelectorTerms: [{tags: {tier: 'web*'}}]",
        "'*' stands for any value, and is no part of a value",
    ),
    (
        "a group term with an empty value",
        "subnetID: subnet-12345678, nodeSelector: {a: b}, securityGroupSelectorTerms: [{tags: {tier: ''}}]",
        "values that are not empty",
    ),
    (
        "no terms",
        "subnetID: subnet-12345678, nodeSelector: {a: b}, nodeSelectorTerms: []",
        "must have at least one term",
    ),
    ("an empty term", "subnetID: subnet-12345678, nodeSelectorTerms: [{}]", "it would match every node"),
    (
        "an empty term beside another",
        "subnetID: subnet-12345678, nodeSelectorTerms: [{matchLabels: {a: b}}, {matchLabels: {}, matchExpressions: []}]",
        "it would match every node",
    ),
    (
        "an unknown operator",
        "subnetID: subnet-12345678, nodeSelectorTerms: [{matchExpressions: [{key: a, operator: Gt, values: ['1']}]}]",
        "supported values: \"In\", \"NotIn\", \"Exists\", \"DoesNotExist\"",
    ),
    (
        "In without values",
        "subnetID: subnet-12345678, nodeSelectorTerms: [{matchExpressions: [{key: a, operator: In}]}]",
        "the operators In and NotIn need at least one value",
    ),
    (
        "NotIn without values",
        "subnetID: subnet-12345678, nodeSelectorTerms: [{matchExpressions: [{key: a, operator: NotIn, values: []}]}]",
        "the operators In and NotIn need at least one value",
    ),
    (
        "Exists with a value",
        "subnetID: subnet-12345678, nodeSelectorTerms: [{matchExpressions: [{key: a, operator: Exists, values: [b]}]}]",
        "the operators Exists and DoesNotExist take no values",
    ),
    (
        "a key with a blank",
        "subnetID: subnet-12345678, nodeSelectorTerms: [{matchExpressions: [{key: 'a b', operator: Exists}]}]",
        "key must be a label key such as",
    ),
    (
        "a value with a blank",
        "subnetID: subnet-12345678, nodeSelectorTerms: [{matchExpressions: [{key: a, operator: In, values: ['b c']}]}]",
        "values must be label values such as",
    ),
    (
        "a label with a blank",
        "subnetID: subnet-12345678, nodeSelectorTerms: [{matchLabels: {'a b': c}}]",
        "matchLabels must have label keys such as",
    ),
    (
        "a label value with a blank",
        "subnetID: subnet-12345678, nodeSelectorTerms: [{matchLabels: {a: 'b c'}}]",
        "matchLabels must have label keys such as",
    ),
];
